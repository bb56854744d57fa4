#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <new>
#include <vector>

#include "no_threads.h"

namespace dgemma::base {
namespace {

TEST(ThreadPool, runs_every_task_once_for_any_number_of_threads) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const size_t tasks : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<int> runs(tasks, 0);
      pool.run(tasks, [&](size_t task, int worker) {
        ASSERT_LT(worker, threads);
        ++runs[task];
      });
      EXPECT_EQ(runs, std::vector<int>(tasks, 1));
    }
  }
}

TEST(ThreadPool, what_one_round_wrote_the_next_one_reads) {
  ThreadPool pool(4);
  std::vector<long> a(64, 1), b(64, 0);
  for (int round = 0; round < 200; ++round) {
    pool.run(64, [&](size_t i, int) { b[i] = a[(i + 1) % 64] + 1; });
    pool.run(64, [&](size_t i, int) { a[i] = b[(i + 1) % 64]; });
  }
  EXPECT_EQ(a[0], 201);
}

// Two tasks that each wait until the other has begun need two threads: the caller alone gives up after a while.
TEST(ThreadPool, wakes_sleeping_workers) {
  ThreadPool pool(2);
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // far longer than a worker spins before it sleeps
    std::atomic<int> begun{0}, met{0};
    pool.run(2, [&](size_t, int) {
      ++begun;
      const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (begun.load() < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
      met += begun.load() == 2;
    });
    ASSERT_EQ(met.load(), 2) << "round " << i;
  }
}

TEST(ThreadPool, runs_with_the_threads_that_the_system_gives) {
  const NoThreads none;
  ThreadPool pool(4);
  EXPECT_EQ(pool.threads(), 1);
  std::vector<int> runs(100, 0);
  pool.run(runs.size(), [&](size_t task, int) { ++runs[task]; });
  EXPECT_EQ(runs, std::vector<int>(100, 1));
}

TEST(ThreadPool, no_memory_in_a_task_is_the_callers_to_know) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (const size_t without : {0u, 5u, 63u}) {
      std::atomic<int> inside{0};
      const auto body = [&](size_t task, int) {
        ++inside;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        --inside;
        if (task == without) throw std::bad_alloc();
      };
      EXPECT_THROW(pool.run(64, body), std::bad_alloc);
      EXPECT_EQ(inside.load(), 0) << "nobody works for a caller that has left";
    }
    std::vector<int> runs(64, 0);
    pool.run(runs.size(), [&](size_t task, int) { ++runs[task]; });
    EXPECT_EQ(runs, std::vector<int>(64, 1));
  }
}

TEST(ThreadPool, several_callers_take_turns) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) pool.run(8, [&](size_t, int) { ++done; });
    });
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(done.load(), 4 * 50 * 8);
}

TEST(ThreadPool, default_is_at_least_one) { EXPECT_GE(ThreadPool::default_threads(), 1); }

}  // namespace
}  // namespace dgemma::base
