// A fixed team of threads for one kind of work: many equal tasks, all finished before the caller goes on.
//
// A denoising step is a few hundred such rounds of 10-1000 us, so workers spin for a short while before they sleep, and
// the caller waits for tasks, never for workers: one that another process keeps off its core costs nothing but its
// help. Threads of a round run on processors of their own (cpu_spread.h). Which thread runs a task is left to chance: a
// task's result may depend on its number only, never on its worker. Not a general executor: no futures, no nesting.
// Test: tests/base/thread_pool_test.cc (also under the thread sanitizer).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/cpu_spread.h"

namespace dgemma::base {

class ThreadPool {
 public:
  /// `threads` >= 1 counts the caller: ThreadPool(1) starts none and runs everything inline. Where the system starts no
  /// more (ulimit -u, -v), the pool goes on with those it got, which changes no result; threads() tells how many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs body(task, worker) for task = 0 .. tasks-1, worker = 0 .. threads()-1, and returns when all are done. A body
  /// that finds no memory may leave by std::bad_alloc: the round still ends first, and then run throws it on the
  /// caller's thread; which other tasks ran is unknown. It must throw nothing else and must not call run again. One
  /// caller at a time; others wait for their turn.
  template <class Body>
  void run(size_t tasks, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run_erased(
        tasks, [](void* context, size_t task, int worker) { (*static_cast<Plain*>(context))(task, worker); },
        const_cast<void*>(static_cast<const void*>(std::addressof(body))));
  }

  /// Cores that this process may use (affinity mask), each physical core once where the system tells; at least 1.
  static int default_threads();

 private:
  using Call = void (*)(void* context, size_t task, int worker);
  void run_erased(size_t tasks, Call call, void* context);
  void work(int worker);
  void drain(int worker);
  bool wait_for_round(uint64_t seen);

  std::mutex turn_;  ///< one round at a time
  std::mutex mutex_;
  std::condition_variable wake_;
  /// Round, number of tasks and next task in one word, so that a late worker cannot take a task of a round it did not
  /// look at: [24 bits round | 20 bits tasks | 20 bits next].
  std::atomic<uint64_t> tickets_{0};
  std::atomic<size_t> unfinished_{0};
  std::atomic<bool> no_memory_{false};  ///< in a task of this round
  std::atomic<bool> stop_{false};
  // Written between rounds, read by whoever holds a ticket.
  Call call_ = nullptr;
  void* context_ = nullptr;
  CpuSpread spread_;
  std::vector<std::thread> workers_;
};

}  // namespace dgemma::base
