// What holds in every precision of --compute, bit by bit: threads and savings change nothing, a cache that is reused
// gives what a fresh one gives. Company is company_test.cc's, the numbers themselves are golden_test.cc's (f32).
#include <gtest/gtest.h>

#include "dgemma/engine.h"
#include "dgemma/session.h"
#include "engine/loaded_model.h"
#include "engine/prompt.h"
#include "engine/record.h"
#include "engine/savings.h"
#include "golden.h"

namespace dgemma {
namespace {

GenerateOptions three_canvases() {
  GenerateOptions o;
  o.seed = 3, o.max_new_tokens = 40, o.eos_ids = std::vector<int32_t>{};
  o.sampler.max_denoising_steps = 5, o.sampler.confidence_threshold = 2.0;  // some steps are near the end, some are not
  return o;
}

class Precision : public testing::TestWithParam<std::string> {
 protected:
  static Engine open(const std::string& compute, int threads) {
    EngineOptions options;
    options.model_path = golden::folder() + "tiny-a", options.threads = threads, options.compute = compute;
    return Engine::open(options).value();
  }
  static Engine open(int threads) { return open(GetParam(), threads); }

  /// An answer to a prompt of two chunks.
  static Record answer(const Engine& engine, const GenerateOptions& options) {
    Record record;
    Session session = engine.new_session({}).value();
    EXPECT_TRUE(session.sync_tokens(ids(530, 1)));
    EXPECT_TRUE(session.generate(options, [&](const Event& event) { record(event); }));
    return record;
  }
};

TEST_P(Precision, threads_change_no_bit) {
  const Record one = answer(open(1), three_canvases());
  EXPECT_TRUE(answer(open(2), three_canvases()) == one);
  EXPECT_TRUE(answer(open(3), three_canvases()) == one);
}

TEST_P(Precision, no_saving_changes_a_bit) {
  const Engine engine = open(2);
  const Record all = answer(engine, three_canvases());
  for (const auto& [saving, field] : kSavings) {
    GenerateOptions options = three_canvases();
    options.sweeps = savings_without(saving);
    EXPECT_TRUE(answer(engine, options) == all) << "without " << saving;
  }
  GenerateOptions options = three_canvases();
  options.sweeps = savings_without("all");
  EXPECT_TRUE(answer(engine, options) == all);
}

TEST_P(Precision, a_second_turn_reuses_the_cache_and_answers_as_a_fresh_session_does) {
  const Engine engine = open(2);
  Session session = engine.new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(ids(40, 1)));
  const Answer first = session.generate(three_canvases()).value();
  std::vector<int32_t> next = ids(40, 1);
  next.insert(next.end(), first.tokens.begin(), first.tokens.begin() + 20);
  for (const int32_t id : ids(9, 77)) next.push_back(id);
  Record again, expected;
  ASSERT_TRUE(session.sync_tokens(next));
  const Answer second = session.generate(three_canvases(), [&](const Event& event) { again(event); }).value();
  EXPECT_GE(second.summary.cached_tokens, 56);
  Session fresh = engine.new_session({}).value();
  ASSERT_TRUE(fresh.sync_tokens(next));
  ASSERT_TRUE(fresh.generate(three_canvases(), [&](const Event& event) { expected(event); }));
  EXPECT_TRUE(again == expected);
}

TEST_P(Precision, a_cache_takes_half_of_what_it_takes_in_f32) {
  const auto bytes = [](const Engine& engine) {
    Session session = engine.new_session({}).value();
    EXPECT_TRUE(session.sync_tokens(ids(100, 1)));
    EXPECT_TRUE(session.generate(three_canvases()));
    return session.memory_bytes();
  };
  EXPECT_EQ(bytes(open("f32", 1)), bytes(open(1)) * (GetParam() == "f32" ? 1 : 2));
}

std::vector<std::string> computes() { return {kComputeNames.begin(), kComputeNames.end()}; }
INSTANTIATE_TEST_SUITE_P(Compute, Precision, testing::ValuesIn(computes()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace dgemma
