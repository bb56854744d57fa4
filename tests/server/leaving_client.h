// A client that posts and may leave in the middle of the answer: a bare socket, because httplib's reads to the end.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

namespace dgemma::server::testing_service {

class LeavingClient {
 public:
  LeavingClient(int port, const nlohmann::ordered_json& body) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string text = body.dump();
    const std::string request =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: " +
        std::to_string(text.size()) + "\r\n\r\n" + text;
    EXPECT_EQ(::send(socket_, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  }
  ~LeavingClient() { leave(); }
  LeavingClient(const LeavingClient&) = delete;
  LeavingClient& operator=(const LeavingClient&) = delete;

  /// Until the answer has begun.
  void wait_for_bytes() {
    char byte = 0;
    EXPECT_EQ(::recv(socket_, &byte, 1, 0), 1);
  }
  /// Until `text` has come so many times.
  void wait_for_text(const std::string& text, int times) {
    std::string last;
    for (char byte = 0; times > 0 && ::recv(socket_, &byte, 1, 0) == 1;) {
      last += byte;
      if (last.size() > text.size()) last.erase(0, 1);
      times -= last == text ? 1 : 0;
    }
    EXPECT_EQ(times, 0);
  }
  /// Says that nothing more comes from here; it still reads.
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  void leave() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  /// What comes until the service closes.
  std::string rest() {
    std::string all;
    char buffer[4096];
    for (ssize_t got; (got = ::recv(socket_, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<size_t>(got));
    return all;
  }

 private:
  int socket_;
};

}  // namespace dgemma::server::testing_service
