// Places, the queue, and how jobs leave them; with jobs that wait until a test lets them go.
#include "server/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <system_error>

#include "no_threads.h"

namespace dgemma::server {
namespace {

/// Runs until it is released or cancelled.
struct WaitingJob : Job {
  void run() override {
    began.set_value();
    released.get_future().wait();
    ended = true;
  }
  void cancel() override { release(); }
  void release() {
    if (!done.exchange(true)) released.set_value();
  }
  std::promise<void> began, released;
  std::atomic<bool> done{false}, ended{false};
};

TEST(Scheduler, takes_as_many_as_there_are_places_and_room_in_the_queue) {
  Scheduler scheduler(1, 1);
  const auto running = std::make_shared<WaitingJob>(), waiting = std::make_shared<WaitingJob>();
  ASSERT_TRUE(scheduler.submit(running));
  running->began.get_future().wait();
  ASSERT_TRUE(scheduler.submit(waiting));
  EXPECT_EQ(scheduler.submit(std::make_shared<WaitingJob>()).error().code, ErrorCode::kBusy);
  EXPECT_EQ(scheduler.stats().waiting, 1);
  EXPECT_EQ(scheduler.stats().active, 1);
  running->release();
  waiting->began.get_future().wait();
  EXPECT_TRUE(running->ended);
}

TEST(Scheduler, without_any_thread_there_are_no_places) {
  const NoThreads none;
  EXPECT_THROW(Scheduler(2, 1), std::system_error);
}

TEST(Scheduler, a_withdrawn_job_frees_its_place_in_the_queue_and_never_runs) {
  Scheduler scheduler(1, 1);
  const auto running = std::make_shared<WaitingJob>(), waiting = std::make_shared<WaitingJob>();
  ASSERT_TRUE(scheduler.submit(running));
  running->began.get_future().wait();
  ASSERT_TRUE(scheduler.submit(waiting));
  scheduler.withdraw(waiting);
  EXPECT_EQ(scheduler.stats().waiting, 0);
  const auto next = std::make_shared<WaitingJob>();
  EXPECT_TRUE(scheduler.submit(next));
  running->release();
  next->began.get_future().wait();
  EXPECT_FALSE(waiting->ended);
}

TEST(Scheduler, draining_finishes_what_was_taken_and_refuses_the_rest) {
  Scheduler scheduler(1, 4);
  const auto running = std::make_shared<WaitingJob>(), waiting = std::make_shared<WaitingJob>();
  ASSERT_TRUE(scheduler.submit(running));
  running->began.get_future().wait();
  ASSERT_TRUE(scheduler.submit(waiting));
  auto drained = std::async(std::launch::async, [&] { scheduler.drain(); });
  running->release(), waiting->release();
  drained.wait();
  EXPECT_TRUE(running->ended && waiting->ended);
  EXPECT_EQ(scheduler.submit(std::make_shared<WaitingJob>()).error().code, ErrorCode::kBusy);
}

TEST(Scheduler, cancelling_everything_ends_what_runs) {
  Scheduler scheduler(2, 4);
  const auto running = std::make_shared<WaitingJob>();
  ASSERT_TRUE(scheduler.submit(running));
  running->began.get_future().wait();
  scheduler.cancel_all();
  scheduler.drain();
  EXPECT_TRUE(running->ended);
}

}  // namespace
}  // namespace dgemma::server
