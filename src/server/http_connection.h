// HttpConnection: one accepted socket with deadlines, bounds on headers and bodies, and a look at whether the client is
// there.
//
// Reads are buffered and end at the request's deadline, however slowly bytes drip in; a write ends when the client
// takes no byte for a while. Knows nothing of HTTP but where the headers end and how responses begin. One thread.
//
// A closed sending side (FIN) alone does not say whether the client left or waits for its answer. TCP tells when
// something is sent: who left answers with a reset. So the first bytes of the response, "HTTP/1.1 " whatever follows,
// go out ahead, one by one: the first at once, which frees the place of most who leave, and later ones for those who
// leave later.
// Test: tests/server/http_test.cc.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "base/file_descriptor.h"
#include "server/http.h"
#include "server/options.h"

namespace dgemma::server {

/// Looks at the lines of a request's head one byte at a time. httplib skips a header that it cannot read ("Name : x",
/// "Name", one folded over two lines); where another reader in front of this service does not, what it takes for a body
/// would be a request here (RFC 9112, section 5).
class HeadLines {
 public:
  void take(char c);
  size_t longest() const { return longest_; }
  bool malformed() const { return malformed_; }  ///< a header is; the request line is httplib's affair

 private:
  enum class Part { kRequestLine, kName, kValue };
  void end_line();
  bool fits(char c) const;

  Part part_ = Part::kRequestLine;
  std::string name_;  // in small letters
  bool value_empty_ = true, malformed_ = false;
  char last_ = 0;
  size_t bytes_ = 0, longest_ = 0;
};

class HttpConnection {
 public:
  /// Owns the socket.
  HttpConnection(int socket, const Limits& limits);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// Waits for the first byte of a request; false when the client closed, was idle too long, or `stopping` says so.
  bool wait_for_request(const std::function<bool()>& stopping);
  /// Called by the parser when all headers are read: the bound on them ends, and the one on the body begins.
  void headers_done() { in_headers_ = false, part_bytes_ = 0; }
  /// Called when the body is read: what was written before, 100 Continue, is not the response.
  void request_done() { answered_ = false; }

  /// Bytes read, 0 at the end, -1 past a deadline, a bound or on an error; see timed_out(),
  /// headers_too_large() and body_too_large().
  long read(char* bytes, size_t size);
  /// Bytes written, -1 where the client does not take them. `more`: they may wait for the next ones, to leave together.
  long write(const char* bytes, size_t size, bool more = false);
  /// Whether the connection is broken. While nothing of a response is written this may send its first bytes.
  bool gone();
  bool half_closed() const;
  bool readable() const;
  bool writable() const;

  bool timed_out() const { return timed_out_; }
  bool headers_too_large() const { return too_much_ && in_headers_; }
  bool header_too_long() const { return lines_.longest() > kLongestHeader; }  ///< one of them
  bool header_malformed() const { return lines_.malformed(); }                ///< one of them
  bool body_too_large() const { return too_much_ && !in_headers_; }           ///< chunk sizes count too
  /// Something of the current request's response is written.
  bool answered() const { return answered_; }
  /// Says that no more follows, and lets the client read what was sent before the socket closes: waits for it to close
  /// first, or to send nothing for a while. Without `patience` only takes what has come already.
  void linger(bool patience = true);
  int socket() const { return socket_.get(); }

 private:
  using Clock = std::chrono::steady_clock;
  bool fill();
  void send_ahead();

  const base::FileDescriptor socket_;
  const Limits& limits_;
  std::array<char, 16384> buffer_{};
  size_t begin_ = 0, end_ = 0;
  size_t part_bytes_ = 0;  // read of the headers, or of the body
  HeadLines lines_;
  Clock::time_point deadline_;
  bool in_headers_ = false, timed_out_ = false, too_much_ = false, answered_ = false, gone_ = false;
  size_t ahead_ = 0;              // bytes of the response that were sent ahead
  Clock::time_point next_ahead_;  // of them, when the next one may go
};

}  // namespace dgemma::server
