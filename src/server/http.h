// HttpServer: HTTP/1.1 without a word about models: connections, limits, deadlines, one handler for all requests.
//
// cpp-httplib is seen by http.cc only. It parses heads and writes responses; connections (http_connection.h) and bodies
// (body_reader.h) are ours, because a service needs what version 0.11 lacks: a deadline for a whole request, a bound on
// all headers, refusal when there are too many connections, a look whether the client is still there, trailers.
// Test: tests/server/http_test.cc.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dgemma/result.h"
#include "server/options.h"

namespace dgemma::server {

constexpr size_t kLongestHeader = 8192;  ///< bytes of one; httplib's own limit

struct HttpRequest {
  std::string method;
  std::string path;  ///< without the query
  std::string host, origin, authorization, api_key, content_type, content_encoding,
      if_none_match;  ///< headers; "" where absent. host, and types without their parameters, in small letters
  std::optional<uint64_t> content_length;
  bool chunked = false;
  std::string body;
};

/// The client at the other end of the connection.
class Peer {
 public:
  virtual ~Peer() = default;
  /// True once the connection is broken. A client that closes its sending side may still read: as long as nothing of
  /// the response is written this sends its first bytes ahead, which a client that left answers with a reset.
  virtual bool gone() const = 0;
  /// True once it has closed its sending side. In a response that has begun only what is written next tells whether
  /// it is there.
  virtual bool half_closed() const = 0;
};

/// Writes a response piece by piece.
class BodyWriter : public Peer {
 public:
  /// False when the client does not take it; then nothing more will be sent.
  virtual bool write(std::string_view bytes) = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::function<bool(BodyWriter&)> stream;  ///< writes the body instead, chunked; false: it could not be finished
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Looks at a request before its body is read; a response refuses it.
  virtual std::optional<HttpResponse> refuse(const HttpRequest& head) = 0;
  virtual HttpResponse handle(const HttpRequest& request, const Peer& peer) = 0;
  /// Adds the headers that all responses have.
  virtual void add_headers(const HttpRequest& head, HttpResponse& response) = 0;
  /// The body of a response that HTTP itself gives: 400, 408, 411, 413, 414, 416, 431, 500, 503.
  virtual HttpResponse error(int status, const std::string& path) = 0;
  /// After each response; seconds since the request's first byte.
  virtual void finished(const HttpRequest& head, int status, double seconds) = 0;
};

class HttpServer {
 public:
  HttpServer(HttpHandler& handler, const Limits& limits);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds and listens; port 0 takes any free one. Errors: kIo.
  Result<void> listen(const std::string& host, int port);
  int port() const;
  /// Accepts connections until stop(); then waits for the open ones to end.
  void serve();
  /// From any thread: no new connections, idle ones are closed.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dgemma::server
