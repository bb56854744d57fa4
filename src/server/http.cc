// See http.h. The only file that knows cpp-httplib.
#include "server/http.h"

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/stopwatch.h"
#include "server/body_reader.h"
#include "server/http_connection.h"

namespace dgemma::server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kBacklog = 128;
constexpr size_t kLongestPath = 512;
constexpr int kRetryAfter = 1;               // seconds; a place is free after the shortest answer
constexpr int kMostRefused = 64;             // connections that are told so by threads of their own
constexpr size_t kManyRequests = 1'000'000;  // on one connection: there is no limit

/// What is going on in this thread's connection; httplib's handlers have no room for it.
struct Exchange : Peer {
  explicit Exchange(HttpConnection& c) : connection(c) {}
  bool gone() const override { return connection.gone(); }
  bool half_closed() const override { return connection.half_closed(); }

  HttpConnection& connection;
  HttpRequest head;
  base::Stopwatch watch;
  int status = 0;
  bool close = false;         ///< the request's end is not known, or it was not read
  bool body_follows = false;  ///< the next write is the head of a response whose body comes at once
  bool told_close = false;    ///< the client asked for just that, which httplib repeats
  bool takes_chunks = true;   ///< HTTP/1.0 knows none: there a stream ends with its connection
};
thread_local Exchange* t_exchange = nullptr;
/// What becomes of this thread's connection. One past the limit is refused, which takes a while where the client does
/// not close it; on the accepting thread, which others wait for, it is closed at once.
enum class Fate { kServed, kRefused, kRefusedAtOnce };
thread_local Fate t_fate = Fate::kServed;

/// The connection as httplib reads and writes it.
class ConnectionStream : public httplib::Stream {
 public:
  explicit ConnectionStream(HttpConnection& connection) : connection_(connection) {}
  bool is_readable() const override { return connection_.readable(); }
  bool is_writable() const override { return connection_.writable(); }
  ssize_t read(char* bytes, size_t size) override { return connection_.read(bytes, size); }
  ssize_t write(const char* bytes, size_t size) override {
    return connection_.write(bytes, size, std::exchange(t_exchange->body_follows, false));
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return connection_.socket(); }

 private:
  HttpConnection& connection_;
};

class SinkWriter : public BodyWriter {
 public:
  explicit SinkWriter(httplib::DataSink& sink) : sink_(sink) {}
  bool write(std::string_view bytes) override {
    alive_ = alive_ && sink_.write(bytes.data(), bytes.size());
    return alive_;
  }
  bool gone() const override { return !alive_ || t_exchange->gone(); }
  bool half_closed() const override { return t_exchange->half_closed(); }

 private:
  httplib::DataSink& sink_;
  bool alive_ = true;
};

/// ASCII capitals made small: HTTP compares hosts, media types and codings without case.
std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return text;
}

/// "application/json" of "Application/JSON; charset=utf-8".
std::string media_type(const std::string& header) { return lower_case(header.substr(0, header.find_first_of("; \t"))); }

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Whether "gzip;q=0.5, br" takes `coding`. "*" speaks for those that are not named; a weight of 0 is a no.
bool accepts(std::string_view accepted, std::string_view coding) {
  bool named = false, takes = false;
  while (!accepted.empty()) {
    const std::string_view entry = accepted.substr(0, accepted.find(','));
    accepted.remove_prefix(std::min(entry.size() + 1, accepted.size()));
    const size_t end = std::min(entry.find(';'), entry.size());
    const std::string_view name = trimmed(entry.substr(0, end)), weight = trimmed(entry.substr(end));
    if (name != coding && (name != "*" || named)) continue;
    named = name == coding;
    takes = weight.empty() || weight.find_first_of("123456789") != std::string_view::npos;
  }
  return takes;
}

/// Leaves in Accept-Encoding only what is accepted: httplib looks for a coding's name anywhere in it.
void read_weights(httplib::Request& request) {
  std::string accepted;
  const auto [begin, end] = request.headers.equal_range("Accept-Encoding");
  for (auto header = begin; header != end; ++header) accepted += lower_case(header->second) + ",";
  request.headers.erase(begin, end);
  for (const char* coding : {"br", "gzip"})
    if (accepts(accepted, coding)) request.headers.emplace("Accept-Encoding", coding);
}

/// The host in "http://host:port/path", the form of a target for proxies that every server has to take (RFC
/// 9112, 3.2.2); empty where the target has none, or anything odd.
std::string_view host_in(std::string_view target) {
  const std::string scheme = lower_case(std::string(target.substr(0, target.find("://"))));
  if (scheme != "http" && scheme != "https") return {};
  target.remove_prefix(scheme.size() + 3);
  const std::string_view host = target.substr(0, target.find_first_of("/?"));
  constexpr auto kOfHost = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
  return host.find_first_not_of(kOfHost) == std::string_view::npos ? host : std::string_view();
}

/// How long scheme and host are together, of a target with a `host`.
size_t before_path(std::string_view host, std::string_view target) {
  return host.empty() ? 0 : static_cast<size_t>(host.data() + host.size() - target.data());
}

/// Makes "GET /path" with "Host: host:port" of "GET http://host:port/path". Of two hosts, the target's counts. Anything
/// odd stays as it is: a path that nobody knows.
void to_origin_form(httplib::Request& request) {
  const std::string_view host = host_in(request.target);
  if (host.empty() || request.get_header_value_count("Host") > 1) return;
  request.path.erase(0, before_path(host, request.target));  // of which nothing was decoded
  if (request.path.empty()) request.path = "/";
  request.headers.erase("Host");
  request.headers.emplace("Host", std::string(host));
}

/// The status that refuses a request whose body's end or form is not plain; 0 where it is. A body that two readers
/// could end at different places would let one request hide in another; a packed one could unpack to any size.
int bad_framing(const httplib::Request& request, const HttpRequest& head, const Limits& limits) {
  const std::string length = request.get_header_value("Content-Length");
  const bool digits = length.find_first_not_of("0123456789") == std::string::npos && length.size() < 19;
  if (request.get_header_value_count("Content-Length") > 1 || !digits) return 400;
  if (request.get_header_value_count("Host") > 1) return 400;
  if (request.get_header_value_count("Transfer-Encoding") > 1) return 400;
  const std::string coding = lower_case(request.get_header_value("Transfer-Encoding"));
  if (head.chunked && (head.content_length || coding != "chunked")) return 400;
  if (head.method == "POST" && !head.chunked && !head.content_length) return 411;
  if (head.content_length.value_or(0) > limits.body_bytes) return 413;
  return head.content_encoding.empty() || head.content_encoding == "identity" ? 0 : 415;
}

HttpRequest read_head(const httplib::Request& request) {
  HttpRequest head;
  head.method = request.method, head.path = request.path;
  head.host = lower_case(request.get_header_value("Host")), head.origin = request.get_header_value("Origin");
  head.authorization = request.get_header_value("Authorization");
  head.api_key = request.get_header_value("x-api-key");
  head.content_type = media_type(request.get_header_value("Content-Type"));
  head.if_none_match = request.get_header_value("If-None-Match");
  head.content_encoding = lower_case(request.get_header_value("Content-Encoding"));
  if (request.has_header("Content-Length"))
    head.content_length = std::strtoull(request.get_header_value("Content-Length").c_str(), nullptr, 10);
  head.chunked = request.has_header("Transfer-Encoding");
  return head;
}

/// Whether the same request may be answered a little later.
bool passes(int status) { return status == 429 || status == 503; }

void fill_response(HttpHandler& handler, HttpResponse from, httplib::Response& to) {
  handler.add_headers(t_exchange->head, from);
  to.status = t_exchange->status = from.status;
  if (from.stream && !t_exchange->takes_chunks) t_exchange->close = true;
  if (t_exchange->close && !t_exchange->told_close) to.set_header("Connection", "close");
  for (const auto& [name, value] : from.headers) to.set_header(name.c_str(), value);
  if (passes(from.status)) to.set_header("Retry-After", std::to_string(kRetryAfter));
  to.set_header("Vary", "Accept-Encoding");  // httplib packs what is text where the client takes it
  if (!from.stream) {
    t_exchange->body_follows = !from.body.empty() && t_exchange->head.method != "HEAD";
    return to.set_content(from.body, from.content_type.c_str());
  }
  auto provide = [stream = std::move(from.stream)](size_t, httplib::DataSink& sink) {
    SinkWriter writer(sink);
    if (!stream(writer)) return false;
    sink.done();
    return true;
  };
  if (t_exchange->takes_chunks)
    to.set_chunked_content_provider(from.content_type, std::move(provide));
  else
    to.set_content_provider(from.content_type, std::move(provide));
}

/// One thread a connection, up to a limit; httplib's own pool would let idle connections starve the others.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(int most) : most_(most) {}
  void enqueue(std::function<void()> serve) override {
    if (try_start(serve, Fate::kServed, serving_, most_)) return;
    if (try_start(serve, Fate::kRefused, refusing_, kMostRefused)) return;
    t_fate = Fate::kRefusedAtOnce;
    serve_one(serve);
  }
  void shutdown() override {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return serving_ + refusing_ == 0; });
  }

 private:
  static void serve_one(const std::function<void()>& serve) {
    try {
      serve();
    } catch (const std::exception&) {  // no memory for the response: this connection ends, the service goes on
    }
  }
  /// On a thread of its own, counted in `running`; false where there are `most` already.
  bool try_start(const std::function<void()>& serve, Fate fate, int& running, int most) {
    const std::lock_guard lock(mutex_);
    if (running >= most) return false;
    try {
      std::thread([this, serve, fate, &running] {
        t_fate = fate;
        serve_one(serve);
        const std::lock_guard ending(mutex_);
        --running;
        ended_.notify_all();
      }).detach();
    } catch (const std::exception&) {  // no more threads, or no memory for one
      return false;
    }
    ++running;
    return true;
  }

  const int most_;
  std::mutex mutex_;
  std::condition_variable ended_;
  int serving_ = 0, refusing_ = 0;
};

}  // namespace

class HttpServer::Impl : public httplib::Server {
 public:
  Impl(HttpHandler& handler, const Limits& limits) : handler_(handler), limits_(limits) {
    new_task_queue = [this] { return new ConnectionThreads(limits_.connections); };
    set_keep_alive_timeout(limits_.idle_s);  // what the Keep-Alive header says; how it is, is up to the connection
    set_keep_alive_max_count(kManyRequests);
    // Only SO_REUSEADDR: with httplib's SO_REUSEPORT a second service would share the port in silence.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      return before_body(request, response);
    });
    // Who asks before sending a body hears at once where it is not wanted.
    set_expect_100_continue_handler([this](const httplib::Request& request, httplib::Response& response) {
      return before_body(request, response) == HandlerResponse::Handled ? response.status : 100;
    });
    Post("[\\s\\S]*", [this](const httplib::Request&, httplib::Response& response, const httplib::ContentReader&) {
      if (!read_body(*t_exchange)) {
        response.status = 400;  // the error handler knows better
        return;
      }
      t_exchange->connection.request_done();
      fill_response(handler_, handler_.handle(t_exchange->head, *t_exchange), response);
    });
    set_error_handler(HandlerWithResponse([this](const httplib::Request& request, httplib::Response& response) {
      if (response.body.empty()) fill_error(request, response);
      return HandlerResponse::Handled;
    }));
    set_exception_handler([this](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
      response.status = 500;
      fill_error(request, response);
    });
  }

  Result<void> bind(const std::string& host, int port) {
    errno = 0;
    port_ = port;
    const bool bound = port == 0 ? (port_ = bind_to_any_port(host)) > 0 : bind_to_port(host, port);
    if (!bound || ::listen(svr_sock_, kBacklog) != 0)
      return Unexpected(ErrorCode::kIo, base::concat(host, ":", port, ": cannot listen: ",
                                                     errno == 0 ? "unknown host" : std::strerror(errno),
                                                     ". Choose another --host or --port"));
    return {};
  }
  int port() const { return port_; }
  void stop_all() {
    stopping_ = true;
    if (is_running()) return stop();
    ::shutdown(svr_sock_, SHUT_RDWR);  // serve() has not begun, or it will see this when it does
  }
  bool stopping() const { return stopping_; }

 private:
  HandlerResponse before_body(const httplib::Request& request, httplib::Response& response) {
    Exchange& exchange = *t_exchange;
    exchange.head = read_head(request);
    const HttpRequest& head = exchange.head;
    const bool has_body = head.chunked || head.content_length.value_or(0) > 0;
    const int bad = head.path.size() > kLongestPath          ? 414
                    : exchange.connection.header_malformed() ? 400
                                                             : bad_framing(request, head, limits_);
    exchange.takes_chunks = request.version != "HTTP/1.0";
    const std::string connection = request.get_header_value("Connection");
    exchange.told_close = connection == "close";
    exchange.close = bad != 0 || accepts(lower_case(connection), "close");
    std::optional<HttpResponse> refused = handler_.refuse(head);
    if (!refused && bad != 0) refused = handler_.error(bad, head.path);
    if (!refused && head.method == "POST") return HandlerResponse::Unhandled;  // the body comes first
    exchange.close = exchange.close || has_body;                               // it stays unread
    fill_response(handler_, refused ? std::move(*refused) : handler_.handle(head, exchange), response);
    return HandlerResponse::Handled;
  }

  static bool read_body(Exchange& exchange) {
    const auto read = [&](char* bytes, size_t size) { return exchange.connection.read(bytes, size); };
    HttpRequest& head = exchange.head;
    return head.chunked ? read_chunks(read, head.body) : read_exactly(read, *head.content_length, head.body);
  }

  /// The status of what went wrong with reading from a connection, 0 where nothing did.
  static int fault_of(const HttpConnection& connection) {
    if (connection.timed_out()) return 408;
    return connection.headers_too_large() ? 431 : connection.body_too_large() ? 413 : 0;
  }

  /// httplib gives up on a method that it does not know, before it reads a path: whether the path is known, and which
  /// methods it has, the handler says.
  std::optional<HttpResponse> refuse_method(const httplib::Request& request) {
    const bool sound = request.version == "HTTP/1.1" || request.version == "HTTP/1.0";
    const std::string_view target = request.target, host = host_in(target);
    if (!sound || !request.path.empty() || (host.empty() && !target.starts_with('/'))) return std::nullopt;
    HttpRequest& head = t_exchange->head;
    head.method = request.method, head.path = target.substr(0, target.find('?')).substr(before_path(host, target));
    if (head.path.empty()) head.path = "/";
    return handler_.refuse(head);
  }

  /// An error that httplib found: its status, unless the connection or the handler knows better.
  void fill_error(const httplib::Request& request, httplib::Response& response) {
    t_exchange->close = true;
    int fault = fault_of(t_exchange->connection);
    if (fault == 0 && response.status == 400 && t_exchange->connection.header_too_long()) fault = 431;
    std::optional<HttpResponse> refused;
    if (fault == 0 && response.status == 400) refused = refuse_method(request);
    if (!refused) refused = handler_.error(fault != 0 ? fault : response.status, request.path);
    fill_response(handler_, std::move(*refused), response);
  }

  bool process_and_close_socket(socket_t socket) override {
    HttpConnection connection(socket, limits_);
    if (t_fate != Fate::kServed) {
      write_plainly(connection, 503, "Service Unavailable");
      connection.linger(t_fate == Fate::kRefused);
      return false;
    }
    ConnectionStream stream(connection);
    while (connection.wait_for_request([this] { return stopping(); })) {
      Exchange exchange(connection);
      t_exchange = &exchange;
      bool closed = false;
      const bool ok = process_request(stream, stopping(), closed, [&](httplib::Request& request) {
        connection.headers_done();
        to_origin_form(request);
        read_weights(request);
        request.ranges.clear();  // everything is sent whole; httplib would make a copy for each of a thousand ranges
      });
      t_exchange = nullptr;
      const int fault = fault_of(connection);
      if (!connection.answered() && fault != 0) {
        exchange.status = fault;
        write_plainly(connection, fault, "Error");
      }
      if (exchange.status != 0) handler_.finished(exchange.head, exchange.status, exchange.watch.seconds());
      if (!ok || closed || exchange.close || stopping()) break;
    }
    connection.linger();
    return true;
  }

  /// A response without httplib, where no request could be read.
  void write_plainly(HttpConnection& connection, int status, const char* reason) {
    const std::string body = handler_.error(status, "").body;
    const std::string later = passes(status) ? base::concat("\r\nRetry-After: ", kRetryAfter) : "";
    const std::string text = base::concat("HTTP/1.1 ", status, " ", reason,
                                          "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(), later,
                                          "\r\nConnection: close\r\n\r\n", body);
    connection.write(text.data(), text.size());
  }

  HttpHandler& handler_;
  const Limits& limits_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
};

HttpServer::HttpServer(HttpHandler& handler, const Limits& limits) : impl_(std::make_unique<Impl>(handler, limits)) {}
HttpServer::~HttpServer() = default;

Result<void> HttpServer::listen(const std::string& host, int port) { return impl_->bind(host, port); }
int HttpServer::port() const { return impl_->port(); }
void HttpServer::serve() { impl_->listen_after_bind(); }
void HttpServer::stop() { impl_->stop_all(); }

}  // namespace dgemma::server
