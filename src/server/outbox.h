// Outbox: what a worker has written of a response and the connection has not sent yet.
//
// The worker never waits for a slow client: text that is final is always taken, and what may be left out (drafts) asks
// first whether there is room. The connection waits here for the status and for bytes. Any threads.
// Test: tests/server/service_test.cc, service_clients_test.cc.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace dgemma::server {

class Outbox {
 public:
  explicit Outbox(size_t backlog_bytes) : backlog_bytes_(backlog_bytes) {}

  // The worker's side -------------------------------------------------------------------------------------------
  /// The HTTP status, before any bytes; where there is one already, false and no change. From any thread: a stream that
  /// waits long is begun by its connection.
  bool begin(int status);
  void write(std::string_view bytes);
  /// The last call, with the last bytes: the reader wakes once for both.
  void close(std::string_view last_bytes = {});
  /// A whole response: begin, write and close in one.
  void respond(int status, std::string_view body);
  /// The end of a stream that failed: a response of its own, or the last event where the stream has begun.
  void fail(int status, std::string_view body, std::string_view event);
  /// False while the reader is behind.
  bool has_room() const;

  // The connection's side ---------------------------------------------------------------------------------------
  std::optional<int> wait_status(std::chrono::milliseconds patience);
  enum class Got { kBytes, kNothing, kEnd };
  /// Waits for bytes, appended to `out`; kNothing when none came in time.
  Got read(std::string& out, std::chrono::milliseconds patience);

 private:
  const size_t backlog_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> status_;
  std::string bytes_;
  bool closed_ = false;
};

}  // namespace dgemma::server
