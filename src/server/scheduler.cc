// See scheduler.h.
#include "server/scheduler.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/format.h"

namespace dgemma::server {

Scheduler::Scheduler(int places, int max_queue)
    : max_queue_(static_cast<size_t>(max_queue)), places_(static_cast<size_t>(places)) {
  workers_.reserve(places_);
  try {
    for (int i = 0; i < places; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {  // a limit on threads or on address space
    if (workers_.empty()) throw;
    const std::lock_guard lock(mutex_);
    places_ = workers_.size();
  }
}

Scheduler::~Scheduler() {
  cancel_all();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_came_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

Result<void> Scheduler::submit(std::shared_ptr<Job> job) {
  std::unique_lock lock(mutex_);
  if (draining_) return Unexpected(ErrorCode::kBusy, "the service is stopping. Ask another one, or try later");
  const size_t free_places = places_ - std::min(places_, active_.size());
  if (waiting_.size() >= max_queue_ + free_places)
    return Unexpected(ErrorCode::kBusy, base::concat("all ", places_, " places are taken and ", waiting_.size(),
                                                     " requests wait already. Try again later"));
  waiting_.push_back(std::move(job));
  lock.unlock();
  work_came_.notify_one();
  return {};
}

void Scheduler::withdraw(const std::shared_ptr<Job>& job) {
  job->cancel();
  const std::lock_guard lock(mutex_);
  std::erase(waiting_, job);
  if (draining_) job_left_.notify_all();
}

void Scheduler::drain() {
  std::unique_lock lock(mutex_);
  draining_ = true;
  job_left_.wait(lock, [this] { return waiting_.empty() && active_.empty(); });
}

void Scheduler::cancel_all() {
  std::vector<std::shared_ptr<Job>> jobs;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    jobs = active_;
    jobs.insert(jobs.end(), waiting_.begin(), waiting_.end());
  }
  for (const auto& job : jobs) job->cancel();
}

Scheduler::Stats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  return {static_cast<int>(waiting_.size()), static_cast<int>(active_.size())};
}

void Scheduler::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_came_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    std::shared_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    active_.push_back(job);
    lock.unlock();
    job->run();
    lock.lock();
    std::erase(active_, job);
    if (draining_) job_left_.notify_all();
  }
}

}  // namespace dgemma::server
