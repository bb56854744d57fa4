// Connections without a model: limits, deadlines, framing, clients that leave. Raw sockets, because a well-behaved
// client cannot misbehave.
#include "server/http.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

namespace dgemma::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// Answers with what it was asked; "/wait" waits until the client is gone, "/half" until it sends no more; "/stream"
/// writes until it is gone.
class EchoHandler : public HttpHandler {
 public:
  std::optional<HttpResponse> refuse(const HttpRequest& head) override {
    if (head.path == "/refused") return error(401, head.path);
    return std::nullopt;
  }
  HttpResponse handle(const HttpRequest& request, const Peer& peer) override {
    HttpResponse response;
    response.body = request.method + " " + request.path + " " + std::to_string(request.body.size());
    if (!request.host.empty()) response.body += " of " + request.host;
    if (request.path == "/wait") {
      waiting.set_value();
      while (!peer.gone()) std::this_thread::yield();
      left.set_value();
    }
    if (request.path == "/half") {
      while (!peer.half_closed()) std::this_thread::yield();
      for (int i = 0; i < 100; ++i) EXPECT_FALSE(peer.gone());
    }
    if (request.path == "/stream")
      response.stream = [this](BodyWriter& writer) {
        while (writer.write("0123456789abcdef") && !writer.gone()) {
        }
        left.set_value();
        return false;
      };
    if (request.path == "/three")
      response.stream = [](BodyWriter& writer) { return writer.write("one") && writer.write("two"); };
    if (request.path == "/throw") throw std::bad_alloc();
    return response;
  }
  void add_headers(const HttpRequest&, HttpResponse& response) override { response.headers.emplace_back("X-All", "1"); }
  HttpResponse error(int status, const std::string&) override {
    HttpResponse response;
    response.status = status, response.body = "error " + std::to_string(status);
    return response;
  }
  void finished(const HttpRequest&, int, double) override {}

  std::promise<void> waiting, left;
};

class Http : public testing::Test {
 protected:
  void start(Limits limits = {}) {
    limits_ = limits;
    server_ = std::make_unique<HttpServer>(handler_, limits_);
    ASSERT_TRUE(server_->listen("127.0.0.1", 0));
    thread_ = std::thread([this] { server_->serve(); });
  }
  void TearDown() override {
    server_->stop();
    thread_.join();
  }
  int connect() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  /// Sends bytes and reads until the server closes.
  std::string talk(const std::string& bytes) const {
    const int socket = connect();
    send(socket, bytes);
    ::shutdown(socket, SHUT_WR);
    const std::string answer = receive(socket);
    ::close(socket);
    return answer;
  }
  static void send(int socket, const std::string& bytes) {
    EXPECT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  static std::string receive(int socket) {
    std::string all;
    char buffer[4096];
    for (ssize_t got; (got = ::recv(socket, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<size_t>(got));
    return all;
  }

  EchoHandler handler_;
  Limits limits_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(Http, answers_several_requests_on_one_connection) {
  start();
  const std::string answer = talk(
      "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
      "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("GET /a 0"));
  EXPECT_THAT(answer, HasSubstr("POST /b 3"));
  EXPECT_THAT(answer, HasSubstr("GET /c 0"));
}

TEST_F(Http, head_and_body_of_a_response_come_together) {
  start();
  const int socket = connect();
  for (const std::string method : {"GET", "POST"}) {
    send(socket, method + " /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    char buffer[4096];
    const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);  // what the first segment brings
    ASSERT_GT(got, 0);
    EXPECT_THAT(std::string(buffer, static_cast<size_t>(got)), testing::EndsWith("\r\n\r\n" + method + " /a 0 of x"));
  }
  ::close(socket);
}

TEST_F(Http, says_how_long_a_connection_is_kept) {
  Limits limits;
  limits.idle_s = 7;
  start(limits);
  EXPECT_THAT(talk("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("Keep-Alive: timeout=7, max=1000000\r\n"));
}

TEST_F(Http, takes_a_chunked_body) {
  start();
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"),
              HasSubstr("POST /b 6"));
}

TEST_F(Http, trailers_of_a_chunked_body_are_dropped_and_the_next_request_is_answered) {
  start();
  const std::string answer = talk(
      "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4;x=1\r\nabcd\r\n0\r\nX-Sum: 7\r\n\r\n"
      "GET /after HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("POST /b 4"), HasSubstr("GET /after 0")));
}

TEST_F(Http, a_target_with_its_host_is_the_path_behind_it) {
  start();
  EXPECT_THAT(talk("GET http://example.org:8080/a%20b?c=d HTTP/1.1\r\nHost: other\r\n\r\n"),
              HasSubstr("GET /a b 0 of example.org:8080"));
  EXPECT_THAT(talk("GET HTTPS://[::1] HTTP/1.1\r\n\r\n"), HasSubstr("GET / 0 of [::1]"));
  EXPECT_THAT(talk("POST http://x/b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), HasSubstr("POST /b 3 of x"));
  for (const std::string odd : {"http:///a", "http://a%2Fb/c", "http://user@x/a", "ftp://x/a", "/http://x/a"})
    EXPECT_THAT(talk("GET " + odd + " HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("of x")) << "not the target's";
  EXPECT_THAT(talk("GET http://x/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(Http, a_coding_is_used_only_where_its_weight_is_not_0) {
  start();
  const std::string gzip = "Content-Encoding: gzip\r\n", br = "Content-Encoding: br\r\n";
  const auto ask = [&](const std::string& headers) { return talk("GET /a HTTP/1.1\r\n" + headers + "\r\n"); };
  for (const char* accepted :
       {"Accept-Encoding: gzip\r\n", "Accept-Encoding: GZIP ; q=0.001, br;q=0\r\n",
        "Accept-Encoding: br; q=0.000, *\r\n", "Accept-Encoding: br;q=0\r\nAccept-Encoding: gzip\r\n"})
    EXPECT_THAT(ask(accepted), HasSubstr(gzip)) << accepted;
  EXPECT_THAT(ask("Accept-Encoding: gzip;q=0, br\r\n"), HasSubstr(br));
  for (const char* accepted : {"", "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: gzip;q=0.0, br;q=0\r\n",
                               "Accept-Encoding: *;q=0\r\n", "Accept-Encoding: gzip;q=0, br;q=0, *\r\n",
                               "Accept-Encoding: *, gzip;q=0, br;q=0\r\n", "Accept-Encoding: notgzip, abrupt\r\n"})
    EXPECT_THAT(ask(accepted), testing::AllOf(testing::Not(HasSubstr("Content-Encoding")), HasSubstr("GET /a")))
        << accepted;
}

TEST_F(Http, codings_are_compared_without_case) {
  start();
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nef\r\n0\r\n\r\n"),
              HasSubstr("POST /b 2"));
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nContent-Encoding: Identity\r\nContent-Length: 1\r\n\r\na"),
              HasSubstr("POST /b 1"));
}

TEST_F(Http, what_follows_a_broken_chunk_is_never_a_request) {
  start();
  const std::string answer =
      talk("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nefX\r\nGET /smuggled HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, testing::Not(HasSubstr("smuggled")));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST_F(Http, a_client_of_http_1_0_gets_a_stream_without_chunks) {
  start();
  EXPECT_THAT(talk("GET /three HTTP/1.1\r\n\r\n"), testing::EndsWith("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  const std::string old = talk("GET /three HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /a HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old, testing::EndsWith("\r\n\r\nonetwo")) << "it ends with its connection";
  EXPECT_THAT(old, testing::AllOf(HasSubstr("Connection: close"), testing::Not(HasSubstr("Transfer-Encoding"))));
}

TEST_F(Http, who_asks_before_sending_a_body_hears_at_once_where_it_is_refused) {
  Limits limits;
  limits.body_bytes = 1000;
  start(limits);
  const std::string asks = "Expect: 100-continue\r\nContent-Length: ";
  EXPECT_THAT(talk("POST /refused HTTP/1.1\r\n" + asks + "3\r\n\r\n"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\n" + asks + "1001\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\n" + asks + "3\r\n\r\nabc"),
              testing::AllOf(StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), HasSubstr("POST /b 3")));
}

TEST_F(Http, a_client_that_goes_on_sending_gets_the_response_that_refused_it) {
  Limits limits;
  limits.body_bytes = 1000;
  start(limits);
  const std::string body(size_t{32} << 20, 'a');
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body),
              StartsWith("HTTP/1.1 413"));
}

TEST_F(Http, responses_are_whole_whatever_range_is_asked_for) {
  start();
  for (const char* range : {"0-1", "-2", "0-0,2-2", "999-"})
    EXPECT_THAT(talk("GET /a HTTP/1.1\r\nRange: bytes=" + std::string(range) + "\r\n\r\n"),
                testing::AllOf(StartsWith("HTTP/1.1 200"), testing::EndsWith("\r\n\r\nGET /a 0")))
        << range;
  EXPECT_THAT(talk("GET /a HTTP/1.1\r\nRange: lines=1-2\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 416"), HasSubstr("error 416")));
}

TEST_F(Http, what_is_no_http_gets_an_error_with_a_body) {
  start();
  for (const char* bytes : {"nonsense\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\r\n\r\n"})
    EXPECT_THAT(talk(bytes), testing::AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("error 400"))) << bytes;
}

TEST_F(Http, the_handler_refuses_first_also_where_the_method_is_unknown_or_the_length_is_missing) {
  start();
  for (const char* line :
       {"QUERY /refused?a=b HTTP/1.1", "QUERY http://x:80/refused?a=b HTTP/1.1", "POST /refused HTTP/1.1"})
    EXPECT_THAT(talk(line + std::string("\r\n\r\nGET /b HTTP/1.1\r\n\r\n")),
                testing::AllOf(StartsWith("HTTP/1.1 401"), testing::Not(HasSubstr("GET /b"))))
        << line;
  for (const char* target : {"/a", "http://x/a", "http://user@x/refused", "refused", "http://x"})
    EXPECT_THAT(talk("QUERY " + std::string(target) + " HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400")) << target;
  EXPECT_THAT(talk("QUERY /refused HTTP/3.0\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(Http, ambiguous_framing_is_refused_and_the_rest_is_never_a_request) {
  start();
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\n\r\n";
  for (const char* headers : {"Content-Length: 3\r\nContent-Length: 30\r\n", "Content-Length: abc\r\n",
                              "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n"}) {
    const std::string answer = talk("POST /b HTTP/1.1\r\n" + std::string(headers) + "\r\n" + smuggled);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400")) << headers;
    EXPECT_THAT(answer, testing::Not(HasSubstr("smuggled"))) << headers;
  }
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 411"));
  EXPECT_THAT(talk("GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(Http, a_header_that_another_reader_could_read_otherwise_is_refused_and_the_rest_is_never_a_request) {
  start();
  const std::string body = "GET /smuggled HTTP/1.1\r\n\r\n", size = std::to_string(body.size());
  for (const std::string& header :
       {"Content-Length : " + size, "Content-Length\t: " + size, std::string("Transfer-Encoding : chunked"),
        "X: a\r\n Content-Length: " + size, "X: a\nContent-Length: " + size, "X: a\rContent-Length: " + size,
        std::string("Content-Length:"), std::string("Content-Length: \t "), std::string("Transfer-Encoding:"),
        std::string("NoColon"), std::string(": x"), std::string("A B: x"), std::string("X: a\0b", 6),
        std::string("X: a\x7F"), std::string("X\xC3\xA4: a"), std::string("\r")}) {
    const std::string answer = talk("GET /a HTTP/1.1\r\n" + header + "\r\n\r\n" + body);
    EXPECT_THAT(answer, testing::AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("Connection: close"))) << header;
    EXPECT_THAT(answer, testing::Not(HasSubstr("smuggled"))) << header;
  }
  EXPECT_THAT(talk("GET /a HTTP/1.1\r\nX:\r\nx-y_z.1!: \xC3\xA4\tb: c \r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
              testing::AllOf(HasSubstr("GET /a 0"), HasSubstr("GET /b 0")));
}

TEST_F(Http, a_refused_request_is_answered_before_its_body_is_read) {
  start();
  const std::string answer = talk("POST /refused HTTP/1.1\r\nContent-Length: 1000\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("GET /b")));
}

TEST_F(Http, bodies_and_headers_have_a_bound) {
  Limits limits;
  limits.body_bytes = 1000, limits.header_bytes = 2000;
  start(limits);
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  std::string chunks = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) chunks += "64\r\n" + std::string(100, 'a') + "\r\n";
  EXPECT_THAT(talk(chunks + "0\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 300; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_THAT(talk(many + "\r\n"), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(talk("GET /" + std::string(600, 'a') + " HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 414"));
}

TEST_F(Http, one_header_has_a_bound) {
  start();
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nX: " + std::string(8000, 'a') + "\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n"), StartsWith("HTTP/1.1 431"));
}

TEST_F(Http, a_request_that_does_not_arrive_in_time_is_ended) {
  Limits limits;
  limits.request_s = 1;
  start(limits);
  for (const char* part :
       {"GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"}) {
    const int socket = connect();
    send(socket, part);
    EXPECT_THAT(receive(socket), testing::AllOf(StartsWith("HTTP/1.1 408"), testing::Not(HasSubstr("Retry-After"))))
        << part;
    ::close(socket);
  }
}

TEST_F(Http, more_connections_than_the_limit_are_told_so) {
  Limits limits;
  limits.connections = 1;
  start(limits);
  const int waiting = connect();
  send(waiting, "GET /wait HTTP/1.1\r\n\r\n");
  handler_.waiting.get_future().wait();
  EXPECT_THAT(talk("GET / HTTP/1.1\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("\r\nRetry-After: 1\r\n")));
  ::close(waiting);
}

TEST_F(Http, clients_past_the_limit_that_stay_keep_nobody_waiting) {
  Limits limits;
  limits.connections = 1;
  start(limits);
  std::vector<int> sockets = {connect()};
  send(sockets[0], "GET /wait HTTP/1.1\r\n\r\n");
  handler_.waiting.get_future().wait();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {
    sockets.push_back(connect());
    EXPECT_THAT(receive(sockets.back()), StartsWith("HTTP/1.1 503")) << i;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << "half a second each";
  for (const int socket : sockets) ::close(socket);
}

TEST_F(Http, a_client_that_asks_to_close_is_told_so_once) {
  start();
  for (const char* options : {"close", "Close", "TE, Close"}) {
    const std::string answer =
        talk(std::string("GET /a HTTP/1.1\r\nConnection: ") + options + "\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    EXPECT_THAT(answer, testing::Not(HasSubstr("GET /b"))) << options;
    const size_t told = answer.find("Connection: ");
    ASSERT_NE(told, std::string::npos) << options;
    EXPECT_THAT(answer.substr(told), StartsWith("Connection: close\r\n")) << options;
    EXPECT_EQ(answer.find("Connection: ", told + 1), std::string::npos) << options << ": " << answer;
  }
}

TEST_F(Http, sees_that_a_client_left_while_it_waited_or_read) {
  start();
  for (const char* path : {"/wait", "/stream"}) {
    handler_.waiting = {}, handler_.left = {};
    auto left = handler_.left.get_future();
    const int socket = connect();
    send(socket, std::string("GET ") + path + " HTTP/1.1\r\n\r\n");
    if (path == std::string("/wait")) handler_.waiting.get_future().wait();
    ::close(socket);
    left.wait();
  }
}

TEST_F(Http, a_client_that_only_stops_sending_gets_its_response) {
  start();
  const int socket = connect();
  send(socket, "GET /half HTTP/1.1\r\n\r\n");
  ::shutdown(socket, SHUT_WR);
  EXPECT_THAT(receive(socket), testing::AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), testing::EndsWith("GET /half 0")));
  ::close(socket);
}

TEST_F(Http, sees_that_a_client_left_that_had_asked_before_sending_its_body) {
  start();
  auto left = handler_.left.get_future();
  const int socket = connect();
  send(socket, "POST /wait HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  for (char byte = 0; const char expected : go_on) {
    ASSERT_EQ(::recv(socket, &byte, 1, 0), 1);
    EXPECT_EQ(byte, expected);
  }
  send(socket, "a");
  handler_.waiting.get_future().wait();
  ::close(socket);
  left.wait();
}

TEST_F(Http, a_handler_that_runs_out_of_memory_costs_one_request) {
  start();
  EXPECT_THAT(talk("GET /throw HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(talk("GET /a HTTP/1.1\r\n\r\n"), HasSubstr("GET /a"));
}

TEST_F(Http, a_port_in_use_is_an_error) {
  start();
  HttpServer second(handler_, limits_);
  const auto listening = second.listen("127.0.0.1", server_->port());
  ASSERT_FALSE(listening);
  EXPECT_THAT(listening.error().message, HasSubstr("cannot listen"));
}

}  // namespace
}  // namespace dgemma::server
