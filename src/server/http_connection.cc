// See http_connection.h.
#include "server/http_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace dgemma::server {
namespace {

constexpr int kIdleLook = 200;  // ms between two looks at whether the service stops
// A client that is still sending would lose the response to a connection that is closed over its bytes.
constexpr auto kLinger = std::chrono::seconds(5);
constexpr int kSilence = 500;  // ms, then it is not sending
constexpr size_t kMostDrained = size_t{128} << 20;
constexpr std::string_view kResponseBegin = "HTTP/1.1 ";  // what all of them begin with
constexpr auto kAhead = std::chrono::seconds(1);          // between its first two bytes; then twice as long each time

/// poll() of one socket: the events that came, 0 after `timeout` ms, -1 on an error.
int wait_for(int socket, short events, int timeout) {
  pollfd entry{socket, events, 0};
  while (true) {
    const int got = ::poll(&entry, 1, timeout);
    if (got < 0 && errno == EINTR) continue;
    return got <= 0 ? got : entry.revents;
  }
}

int milliseconds_until(std::chrono::steady_clock::time_point deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return static_cast<int>(std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(left).count()));
}

/// What a header's name consists of (RFC 9110, 5.6.2).
bool is_token_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != 0 && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

}  // namespace

void HeadLines::take(char c) {
  bytes_ = c == '\n' ? 0 : bytes_ + 1;
  longest_ = std::max(longest_, bytes_);
  if (c == '\n') {
    end_line();
  } else if (part_ != Part::kRequestLine) {
    malformed_ |= !fits(c);
    if (part_ == Part::kValue)
      value_empty_ &= c == ' ' || c == '\t' || c == '\r';
    else if (c == ':')
      part_ = Part::kValue;
    else
      name_ += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  last_ = c;
}

/// Whether a byte of a header may stand there. A carriage return only ends a line.
bool HeadLines::fits(char c) const {
  if (last_ == '\r') return false;
  if (part_ == Part::kValue) return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) || c == '\t' || c == '\r';
  return is_token_character(c) || (c == ':' && !name_.empty()) || (c == '\r' && name_.empty());
}

void HeadLines::end_line() {
  const bool last_line = part_ == Part::kName && name_ == "\r";
  const bool frames = name_ == "content-length" || name_ == "transfer-encoding";
  if (part_ != Part::kRequestLine && !last_line)
    malformed_ |= last_ != '\r' || part_ == Part::kName || (frames && value_empty_);
  part_ = Part::kName;
  name_.clear();
  value_empty_ = true;
}

HttpConnection::HttpConnection(int socket, const Limits& limits) : socket_(socket), limits_(limits) {
  const int on = 1;  // events are small and have to leave at once
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool HttpConnection::wait_for_request(const std::function<bool()>& stopping) {
  in_headers_ = true, answered_ = false, timed_out_ = false, too_much_ = false;
  part_bytes_ = 0, lines_ = {};
  ahead_ = 0, next_ahead_ = {};
  const auto idle_until = Clock::now() + std::chrono::seconds(limits_.idle_s);
  while (begin_ == end_) {
    const int events = wait_for(socket_.get(), POLLIN, std::min(kIdleLook, milliseconds_until(idle_until)));
    if (events < 0) return false;
    if (events > 0) break;
    if (stopping() || Clock::now() >= idle_until) return false;
  }
  deadline_ = Clock::now() + std::chrono::seconds(limits_.request_s);
  return true;
}

/// Gets bytes into the empty buffer.
bool HttpConnection::fill() {
  const int events = wait_for(socket_.get(), POLLIN, milliseconds_until(deadline_));
  if (events <= 0) {
    timed_out_ = events == 0;
    return false;
  }
  while (true) {
    const ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    begin_ = 0, end_ = got > 0 ? static_cast<size_t>(got) : 0;
    return got > 0;
  }
}

long HttpConnection::read(char* bytes, size_t size) {
  if (Clock::now() >= deadline_) timed_out_ = true;
  if (timed_out_ || too_much_) return -1;
  if (begin_ == end_ && !fill()) return timed_out_ ? -1 : 0;
  const size_t count = std::min(size, end_ - begin_);
  part_bytes_ += count;
  if (part_bytes_ > (in_headers_ ? limits_.header_bytes : limits_.body_bytes)) {
    too_much_ = true;
    return -1;
  }
  std::memcpy(bytes, buffer_.data() + begin_, count);
  begin_ += count;
  if (in_headers_) std::for_each(bytes, bytes + count, [this](char c) { lines_.take(c); });
  return static_cast<long>(count);
}

long HttpConnection::write(const char* bytes, size_t size, bool more) {
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
  answered_ = true;
  if (gone_) return -1;
  const auto deadline = Clock::now() + std::chrono::seconds(limits_.write_s);
  size_t done = std::min(size, std::exchange(ahead_, 0));
  while (done < size) {
    const ssize_t sent = ::send(socket_.get(), bytes + done, size - done, flags);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    if (wait_for(socket_.get(), POLLOUT, milliseconds_until(deadline)) <= 0) return -1;
  }
  return static_cast<long>(done);
}

bool HttpConnection::gone() {
  const int events = wait_for(socket_.get(), POLLRDHUP, 0);
  if (events < 0 || (events & (POLLHUP | POLLERR | POLLNVAL)) != 0) gone_ = true;
  if (!gone_ && (events & POLLRDHUP) != 0) send_ahead();
  return gone_;
}

/// Sends the next byte of the response to a client that may have left, if it is time.
void HttpConnection::send_ahead() {
  const auto now = Clock::now();
  if (answered_ || ahead_ == kResponseBegin.size() || now < next_ahead_) return;
  if (ahead_ == 0) {  // one whose host is gone too resets nothing
    const auto patience = static_cast<unsigned>(limits_.write_s) * 1000;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
  }
  next_ahead_ = now + kAhead * (int64_t{1} << ahead_);
  if (::send(socket_.get(), &kResponseBegin[ahead_], 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) ++ahead_;
}

bool HttpConnection::half_closed() const { return wait_for(socket_.get(), POLLRDHUP, 0) != 0; }

bool HttpConnection::readable() const { return begin_ < end_ || wait_for(socket_.get(), POLLIN, 0) > 0; }

bool HttpConnection::writable() const {
  const int events = wait_for(socket_.get(), POLLOUT, limits_.write_s * 1000);
  return events > 0 && (events & (POLLHUP | POLLERR)) == 0;
}

void HttpConnection::linger(bool patience) {
  ::shutdown(socket_.get(), SHUT_WR);
  const auto deadline = Clock::now() + (patience ? kLinger : Clock::duration::zero());
  const size_t most = patience ? kMostDrained : buffer_.size();
  size_t drained = 0;
  while (drained < most && wait_for(socket_.get(), POLLIN, std::min(kSilence, milliseconds_until(deadline))) > 0) {
    const ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return;
    drained += static_cast<size_t>(got);
  }
}

}  // namespace dgemma::server
