// Whoever else is being served, a session's answer is the same bit by bit: tokens, entropies, every step of its trace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dgemma/engine.h"
#include "dgemma/session.h"
#include "engine/record.h"
#include "golden.h"
#include "kernels/kernels.h"

namespace dgemma {
namespace {

/// What one user asks: prompts from one token to several chunks, answers of several canvases, two turns.
struct User {
  size_t prompt;
  int tokens;
  uint64_t seed;
  int steps;
};
const std::vector<User> kUsers = {{25, 48, 1, 4}, {1, 64, 2, 3}, {600, 32, 3, 5}, {40, 20, 4, 6}, {16, 80, 5, 2}};

std::vector<int32_t> prompt_ids(const User& user) {
  std::vector<int32_t> ids(user.prompt);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((user.seed * 97 + i * 31) % 500 + 3);
  return ids;
}

/// Two turns of one user; `pace` is called at every event.
Record converse(
    const Engine& engine, const User& user, const std::function<void()>& pace = [] {}) {
  Record record;
  Session session = engine.new_session({}).value();
  EXPECT_TRUE(session.sync_tokens(prompt_ids(user)));
  GenerateOptions o;
  o.seed = user.seed, o.max_new_tokens = user.tokens, o.eos_ids = std::vector<int32_t>{};
  o.sampler.max_denoising_steps = user.steps;
  for (int turn = 0; turn < 2; ++turn) {
    const auto answer = session.generate(o, [&](const Event& event) {
      record(event);
      pace();
    });
    EXPECT_TRUE(answer) << answer.error().message;
  }
  return record;
}

/// A kernel table and a precision.
struct Way {
  std::string kernels, compute;
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.kernels << " " << way.compute; }
};

class Company : public testing::TestWithParam<Way> {
 protected:
  Engine open(int threads) const {
    EngineOptions options;
    options.model_path = golden::folder() + "tiny-a";
    options.threads = threads, options.kernels = GetParam().kernels, options.compute = GetParam().compute;
    auto engine = Engine::open(options);
    EXPECT_TRUE(engine) << engine.error().message;
    return std::move(*engine);
  }
  static std::vector<Record> alone(const Engine& engine) {
    std::vector<Record> records;
    for (const User& user : kUsers) records.push_back(converse(engine, user));
    return records;
  }
  /// All of the first `count` users at once, each started when the one before it has reported `stagger` events.
  static void expect_as_alone(const Engine& engine, size_t count, int stagger, const std::vector<Record>& expected) {
    std::vector<Record> got(count);
    std::vector<std::atomic<int>> events(count);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i) {
      while (i > 0 && events[i - 1] < stagger) std::this_thread::yield();
      threads.emplace_back([&, i] {
        got[i] = converse(engine, kUsers[i], [&, i] {
          // Every third event of every second user takes its time, so that company comes and goes.
          if (++events[i] % 3 == 0 && i % 2 == 1) std::this_thread::sleep_for(std::chrono::microseconds(300));
        });
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < count; ++i)
      EXPECT_TRUE(got[i] == expected[i]) << "user " << i << " of " << count << ", stagger " << stagger;
  }
};

TEST_P(Company, changes_no_bit_of_an_answer) {
  const Engine engine = open(2);
  const std::vector<Record> expected = alone(engine);
  for (const size_t count : {size_t{1}, size_t{2}, size_t{3}, size_t{5}})
    for (const int stagger : {0, 2, 7}) expect_as_alone(engine, count, stagger, expected);
}

TEST_P(Company, of_a_stopped_session_changes_nothing_either) {
  const Engine engine = open(1);
  const User& user = kUsers[0];
  const Record expected = converse(engine, user);
  std::atomic<bool> stop{false};
  std::thread quitter([&] {
    while (!stop) {
      Session session = engine.new_session({}).value();
      ASSERT_TRUE(session.sync_tokens(prompt_ids(kUsers[3])));
      int steps = 0;
      GenerateOptions o;
      o.seed = 1, o.eos_ids = std::vector<int32_t>{};
      std::stop_source stopped;
      o.stop = stopped.get_token();
      std::thread canceller;
      const auto answer = session.generate(o, [&](const Event&) {
        if (++steps == 4) canceller = std::thread([&] { stopped.request_stop(); });
      });
      canceller.join();
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->summary.reason, FinishReason::kCancelled);
    }
  });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(converse(engine, user) == expected) << i;
  stop = true;
  quitter.join();
}

std::vector<Way> ways() {
  std::vector<Way> all;
  for (const kernels::KernelTable* table : kernels::available())
    for (const char* compute : {"f32", "bf16", "int8"}) all.push_back({table->name, compute});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Kernels, Company, testing::ValuesIn(ways()),
                         [](const auto& test) { return test.param.kernels + "_" + test.param.compute; });

}  // namespace
}  // namespace dgemma
