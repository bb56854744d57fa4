// Who shares a sweep with whom, against a scripted sweep that can be held: no model, no luck with time.
#include "engine/sweep_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace dgemma::engine {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

/// Writes down the rows of each group of each sweep; waits in a sweep while `hold` is set; fails at groups of 13 rows.
class Script {
 public:
  Result<void> operator()(std::span<const model::RowGroup> groups) {
    std::vector<size_t> rows;
    for (const model::RowGroup& group : groups) rows.push_back(group.tokens.size());
    {
      const std::lock_guard lock(mutex_);
      sweeps_.push_back(rows);
    }
    while (hold) std::this_thread::yield();
    if (std::find(rows.begin(), rows.end(), 13u) != rows.end()) return Unexpected(ErrorCode::kModelFile, "13 rows");
    return {};
  }
  std::vector<std::vector<size_t>> sweeps() const {
    const std::lock_guard lock(mutex_);
    return sweeps_;
  }
  std::atomic<bool> hold{false};

 private:
  mutable std::mutex mutex_;
  std::vector<std::vector<size_t>> sweeps_;
};

constexpr SweepLimits kNoWait{.most_rows = 1024, .most_prompt_rows = 512, .wait_share = 0, .most_wait = 0ns};
// Waits for whoever is awaited as long as a test may take: a leader that waits for the wrong one never ends.
constexpr SweepLimits kPatient{.most_rows = 1024, .most_prompt_rows = 512, .wait_share = 1e12, .most_wait = 1h};

class Queue : public testing::Test {
 protected:
  explicit Queue(SweepLimits limits = kNoWait) : queue_(std::ref(script_), limits) {}

  model::RowGroup group(size_t rows, bool denoise = true, const std::atomic<bool>* cancel = nullptr) const {
    model::RowGroup g;
    g.tokens = std::span(tokens_).first(rows), g.denoise = denoise, g.cancel = cancel;
    return g;
  }
  /// A session on a thread of its own that asks for one sweep.
  std::future<ErrorCode> ask(model::RowGroup g) {
    return std::async(std::launch::async, [this, g] {
      SweepQueue::Rider rider(queue_);
      const Result<void> result = rider.run({&g, 1});
      return result ? kDone : result.error().code;
    });
  }
  /// Asks while a held sweep keeps everyone in line: behind those who asked before.
  void line_up(model::RowGroup g) {
    others_.push_back(ask(g));
    wait_for_line(others_.size());
  }
  void wait_for_line(size_t length) const {
    while (queue_.waiting() != length) std::this_thread::yield();
  }
  void wait_for_sweeps(size_t count) const {
    while (script_.sweeps().size() != count) std::this_thread::yield();
  }

  static constexpr ErrorCode kDone{-1};
  std::vector<int32_t> tokens_ = std::vector<int32_t>(2048);
  Script script_;
  SweepQueue queue_;
  std::vector<std::future<ErrorCode>> others_;
};

class PatientQueue : public Queue {
 protected:
  PatientQueue() : Queue(kPatient) {}
};

TEST_F(Queue, a_session_alone_gets_a_sweep_of_its_own_at_once) {
  SweepQueue::Rider rider(queue_);
  EXPECT_FALSE(rider.has_company());
  const model::RowGroup groups[] = {group(16, false), group(32)};
  EXPECT_TRUE(rider.run(groups));
  EXPECT_TRUE(rider.run({groups, 1}));
  EXPECT_THAT(script_.sweeps(), ElementsAre(ElementsAre(16, 32), ElementsAre(16)));
}

TEST_F(Queue, those_who_wait_for_a_sweep_share_the_next_one_in_order_of_arrival) {
  script_.hold = true;
  auto first = ask(group(1));
  wait_for_sweeps(1);
  for (size_t i = 0; i < 3; ++i) line_up(group(10 + i));
  script_.hold = false;
  EXPECT_EQ(first.get(), kDone);
  for (auto& other : others_) EXPECT_EQ(other.get(), kDone);
  EXPECT_THAT(script_.sweeps(), ElementsAre(ElementsAre(1), ElementsAre(10, 11, 12)));
}

TEST_F(PatientQueue, two_sessions_that_come_again_and_again_share_every_sweep) {
  const auto come_again = [&](size_t rows) {
    SweepQueue::Rider rider(queue_);
    const model::RowGroup g = group(rows);
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(rider.run({&g, 1}));
  };
  script_.hold = true;  // before the first sweep there is no time to wait by: see that both are in the second
  std::thread one(come_again, 3);
  wait_for_sweeps(1);
  std::thread two(come_again, 4);
  wait_for_line(1);
  script_.hold = false;
  one.join();
  two.join();
  const auto sweeps = script_.sweeps();
  ASSERT_EQ(sweeps.size(), 51u);
  for (size_t i = 1; i < 50; ++i) EXPECT_EQ(sweeps[i].size(), 2u) << i;
}

TEST_F(PatientQueue, who_is_late_is_not_waited_for_again_until_it_came_back) {
  SweepQueue::Rider quick(queue_), slow(queue_);
  const model::RowGroup three = group(3), four = group(4);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(quick.run({&three, 1}));  // the first one has no time to wait
  std::thread back([&] { ASSERT_TRUE(slow.run({&four, 1})); });     // waits for `quick`, which came back each time
  wait_for_line(1);
  ASSERT_TRUE(quick.run({&three, 1}));
  back.join();
  EXPECT_THAT(script_.sweeps(), ElementsAre(ElementsAre(3), ElementsAre(3), ElementsAre(3), ElementsAre(4, 3)));
}

TEST_F(Queue, a_sweep_is_bounded_and_whoever_does_not_fit_comes_next) {
  script_.hold = true;
  auto first = ask(group(1));
  wait_for_sweeps(1);
  for (size_t i = 0; i < 3; ++i) line_up(group(300 + i));
  line_up(group(256));         // 1159 rows with the others: too many
  line_up(group(100, false));  // 1003 rows: fits, and so goes first
  script_.hold = false;
  for (auto& other : others_) EXPECT_EQ(other.get(), kDone);
  EXPECT_THAT(script_.sweeps(), ElementsAre(ElementsAre(1), ElementsAre(300, 301, 302, 100), ElementsAre(256)));
}

TEST_F(Queue, prompts_fill_no_more_than_their_part_of_a_sweep) {
  script_.hold = true;
  auto first = ask(group(1));
  wait_for_sweeps(1);
  for (size_t i = 0; i < 3; ++i) line_up(group(256, false));
  line_up(group(200));
  script_.hold = false;
  for (auto& other : others_) EXPECT_EQ(other.get(), kDone);
  EXPECT_THAT(script_.sweeps(), ElementsAre(ElementsAre(1), ElementsAre(256, 256, 200), ElementsAre(256)));
}

TEST_F(Queue, a_request_larger_than_the_bound_is_served_alone) {
  SweepQueue::Rider rider(queue_);
  const model::RowGroup g = group(2000, false);
  EXPECT_TRUE(rider.run({&g, 1}));
}

TEST_F(Queue, an_error_stays_with_its_session) {
  script_.hold = true;
  auto first = ask(group(1));
  wait_for_sweeps(1);
  for (const size_t rows : {12, 13, 14}) line_up(group(rows));
  script_.hold = false;
  EXPECT_EQ(others_[0].get(), kDone);
  EXPECT_EQ(others_[1].get(), ErrorCode::kModelFile);
  EXPECT_EQ(others_[2].get(), kDone);
}

TEST_F(Queue, who_is_cancelled_while_waiting_leaves_at_once) {
  script_.hold = true;
  auto first = ask(group(1));
  wait_for_sweeps(1);
  std::atomic<bool> cancel{false};
  auto second = ask(group(5, true, &cancel));
  wait_for_line(1);
  cancel = true;
  queue_.wake();
  EXPECT_EQ(second.get(), ErrorCode::kCancelled) << "while the first sweep still runs";
  script_.hold = false;
  EXPECT_EQ(first.get(), kDone);
  EXPECT_EQ(script_.sweeps().size(), 1u);
}

TEST_F(PatientQueue, a_session_that_ends_is_no_longer_waited_for) {
  SweepQueue::Rider stays(queue_);
  const model::RowGroup g = group(3);
  {
    SweepQueue::Rider leaves(queue_);
    EXPECT_TRUE(stays.has_company());
    script_.hold = true;
    std::thread other([&] { ASSERT_TRUE(leaves.run({&g, 1})); });
    wait_for_sweeps(1);
    script_.hold = false;
    other.join();  // `leaves` is awaited now
  }
  EXPECT_TRUE(stays.run({&g, 1}));
}

}  // namespace
}  // namespace dgemma::engine
