// See sweep_queue.h.
#include "engine/sweep_queue.h"

#include <algorithm>

#include "base/limit_errors.h"

namespace dgemma::engine {

using Clock = std::chrono::steady_clock;

SweepQueue::SweepQueue(Sweep sweep, SweepLimits limits) : sweep_(std::move(sweep)), limits_(limits) {}

SweepQueue::Rider::Rider(SweepQueue& queue) : queue_(queue) {
  const std::lock_guard lock(queue_.mutex_);
  awaited_ = true;
  queue_.riders_.push_back(this);
}

SweepQueue::Rider::~Rider() {
  {
    const std::lock_guard lock(queue_.mutex_);
    std::erase(queue_.riders_, this);
  }
  queue_.changed_.notify_all();  // a leader may be waiting for this one
}

Result<void> SweepQueue::Rider::run(std::span<const model::RowGroup> groups) { return queue_.run(*this, groups); }

bool SweepQueue::Rider::has_company() const {
  const std::lock_guard lock(queue_.mutex_);
  return queue_.riders_.size() > 1;
}

void SweepQueue::wake() {
  { const std::lock_guard lock(mutex_); }  // whoever is about to wait has looked at its flag before, or looks after
  changed_.notify_all();
}

size_t SweepQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

bool SweepQueue::Request::cancelled() const {
  return std::all_of(groups.begin(), groups.end(), [](const model::RowGroup& group) {
    return group.cancel != nullptr && group.cancel->load(std::memory_order_relaxed);
  });
}

Result<void> SweepQueue::run(Rider& rider, std::span<const model::RowGroup> groups) {
  Request request{groups, &rider, 0, true};
  for (const model::RowGroup& group : groups) {
    request.rows += group.tokens.size();
    request.only_encodes = request.only_encodes && !group.denoise;
  }
  std::unique_lock lock(mutex_);
  rider.awaited_ = false;
  waiting_.push_back(&request);
  changed_.notify_all();
  while (request.place != Place::kDone) {
    if (request.place == Place::kWaiting && request.cancelled()) {
      std::erase(waiting_, &request);
      return Unexpected(ErrorCode::kCancelled, "cancelled");
    }
    if (!led_)
      lead(lock);
    else
      changed_.wait(lock);
  }
  return request.outcome;
}

void SweepQueue::lead(std::unique_lock<std::mutex>& lock) {
  led_ = true;
  gather(lock);
  take();
  lock.unlock();
  const auto start = Clock::now();
  compute();
  lock.lock();
  last_sweep_ = Clock::now() - start;
  for (Request* request = batch_; request != nullptr; request = request->next) {
    request->place = Place::kDone;
    request->rider->awaited_ = true;
  }
  led_ = false;
  changed_.notify_all();
}

/// Waits until nobody is awaited, a sweep is full, or time is up.
void SweepQueue::gather(std::unique_lock<std::mutex>& lock) {
  const std::chrono::duration<double, std::nano> share = last_sweep_ * limits_.wait_share, most = limits_.most_wait;
  const auto until = Clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(std::min(share, most));
  while (any_awaited() && waiting_rows() < limits_.most_rows) {
    if (changed_.wait_until(lock, until) == std::cv_status::no_timeout) continue;
    for (Rider* rider : riders_) rider->awaited_ = false;
  }
}

/// Moves requests from the line to the batch: always the first one, then whoever fits.
void SweepQueue::take() {
  size_t rows = 0, prompt_rows = 0;
  batch_ = nullptr;
  Request** end = &batch_;
  for (Request* request : waiting_) {
    const size_t encoded = request->only_encodes ? request->rows : 0;
    const bool fits = rows + request->rows <= limits_.most_rows && prompt_rows + encoded <= limits_.most_prompt_rows;
    if (batch_ != nullptr && !fits) continue;
    rows += request->rows, prompt_rows += encoded;
    request->place = Place::kTaken;
    *end = request, end = &request->next;
  }
  std::erase_if(waiting_, [](const Request* request) { return request->place == Place::kTaken; });
}

/// Runs the batch in one sweep. One that fails is run again request by request, so that an error stays with its owner.
void SweepQueue::compute() {
  const Result<void> together = base::with_limit_errors("a sweep", [this] {
    groups_.clear();
    for (const Request* request = batch_; request != nullptr; request = request->next)
      groups_.insert(groups_.end(), request->groups.begin(), request->groups.end());
    return sweep_(groups_);
  });
  const bool own = together || batch_->next == nullptr;
  for (Request* request = batch_; request != nullptr; request = request->next)
    request->outcome = own ? together : sweep_(request->groups);
}

bool SweepQueue::any_awaited() const {
  return std::any_of(riders_.begin(), riders_.end(), [](const Rider* rider) { return rider->awaited_; });
}

size_t SweepQueue::waiting_rows() const {
  size_t rows = 0;
  for (const Request* request : waiting_) rows += request->rows;
  return rows;
}

}  // namespace dgemma::engine
