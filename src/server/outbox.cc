// See outbox.h.
#include "server/outbox.h"

namespace dgemma::server {

bool Outbox::begin(int status) {
  {
    const std::lock_guard lock(mutex_);
    if (status_) return false;
    status_ = status;
  }
  changed_.notify_one();
  return true;
}

void Outbox::write(std::string_view bytes) {
  {
    const std::lock_guard lock(mutex_);
    bytes_ += bytes;
  }
  changed_.notify_one();
}

void Outbox::close(std::string_view last_bytes) {
  {
    const std::lock_guard lock(mutex_);
    bytes_ += last_bytes;
    closed_ = true;
  }
  changed_.notify_one();
}

void Outbox::respond(int status, std::string_view body) { fail(status, body, body); }

void Outbox::fail(int status, std::string_view body, std::string_view event) {
  {
    const std::lock_guard lock(mutex_);
    bytes_ += status_ ? event : body;
    if (!status_) status_ = status;
    closed_ = true;
  }
  changed_.notify_one();
}

bool Outbox::has_room() const {
  const std::lock_guard lock(mutex_);
  return bytes_.size() < backlog_bytes_;
}

std::optional<int> Outbox::wait_status(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return status_.has_value(); });
  return status_;
}

Outbox::Got Outbox::read(std::string& out, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return !bytes_.empty() || closed_; });
  if (!bytes_.empty()) {
    out += bytes_;
    bytes_.clear();
    return Got::kBytes;
  }
  return closed_ ? Got::kEnd : Got::kNothing;
}

}  // namespace dgemma::server
