// Scheduler: a bounded queue in front of a fixed number of places, each a thread that makes one answer at a time.
//
// First come, first served. What shares the weights between the answers that are being made is the engine's sweep
// runner, not this. A job that waits can be withdrawn, so a client that vanishes frees its place in the queue too.
// Test: tests/server/scheduler_test.cc.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dgemma/result.h"

namespace dgemma::server {

class Job {
 public:
  virtual ~Job() = default;
  /// On a worker's thread. Does not throw.
  virtual void run() = 0;
  /// Ends a running job early, from any thread; a job that has not begun ends as soon as it does.
  virtual void cancel() = 0;
};

class Scheduler {
 public:
  /// With fewer places where the system starts no more threads; where it starts none, std::system_error comes out.
  Scheduler(int places, int max_queue);
  /// Cancels what runs and what waits, and joins.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Errors: kBusy, where the queue is full or draining.
  Result<void> submit(std::shared_ptr<Job> job);
  /// Cancels a job; takes it out of the queue where it still waits.
  void withdraw(const std::shared_ptr<Job>& job);
  /// Takes no more jobs and waits until all are done.
  void drain();
  /// Cancels everything; drain() then returns soon.
  void cancel_all();

  struct Stats {
    int waiting = 0;
    int active = 0;
  };
  Stats stats() const;

 private:
  void work();

  const size_t max_queue_;
  size_t places_;
  mutable std::mutex mutex_;
  std::condition_variable work_came_;  // workers wait for it
  std::condition_variable job_left_;   // drain() waits for it
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Job>> active_;
  bool draining_ = false, stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace dgemma::server
