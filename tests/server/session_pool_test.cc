// Caches between requests: who gets which, and what goes when memory is short.
#include "server/session_pool.h"

#include <gtest/gtest.h>

#include <thread>

#include "golden.h"

namespace dgemma::server {
namespace {

const Engine& engine() {
  static const Engine tiny = [] {
    EngineOptions options;
    options.model_path = golden::folder() + "tiny-a", options.threads = 1, options.compute = "f32";
    return std::move(Engine::open(options)).value();
  }();
  return tiny;
}

std::vector<int32_t> prompt(int32_t start, size_t count) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back((start + 7 * static_cast<int32_t>(i)) % 500 + 3);
  return ids;
}

/// Answers a prompt with a session of the pool; how many tokens of it were in the cache.
int answer(SessionPool& pool, const std::vector<int32_t>& ids) {
  Session session = pool.take(ids).value();
  GenerateOptions options;
  options.max_new_tokens = 1, options.seed = 1, options.sampler.max_denoising_steps = 1;
  const int cached = session.generate(options).value().summary.cached_tokens;
  pool.give_back(std::move(session));
  return cached;
}

constexpr uint64_t kPlenty = uint64_t{1} << 30;

TEST(SessionPool, a_conversation_finds_its_own_cache_again) {
  SessionPool pool(engine(), {}, kPlenty);
  std::vector<int32_t> mine = prompt(1, 40);
  const std::vector<int32_t> other = prompt(100, 40);
  EXPECT_EQ(answer(pool, mine), 0);
  EXPECT_EQ(answer(pool, other), 0);
  mine.push_back(9);
  EXPECT_EQ(answer(pool, mine), 40);
  EXPECT_EQ(answer(pool, other), 40);
  EXPECT_EQ(pool.stats().idle, 2u);
}

TEST(SessionPool, a_new_conversation_does_not_wipe_out_one_that_shares_only_its_beginning) {
  SessionPool pool(engine(), {}, kPlenty);
  std::vector<int32_t> first = prompt(1, 60), second = prompt(1, 10);
  for (const int32_t id : prompt(200, 50)) second.push_back(id);
  answer(pool, first);
  answer(pool, second);
  EXPECT_EQ(answer(pool, first), 60);
  EXPECT_EQ(answer(pool, second), 60);
}

TEST(SessionPool, a_long_beginning_of_another_conversation_is_copied) {
  SessionPool pool(engine(), {}, kPlenty);
  const std::vector<int32_t> system = prompt(1, 40);
  std::vector<int32_t> first = system, second = system, third = system;
  for (const int32_t id : prompt(200, 60)) first.push_back(id);
  for (const int32_t id : prompt(300, 20)) second.push_back(id);
  third.push_back(450);
  EXPECT_EQ(answer(pool, first), 0);
  EXPECT_EQ(answer(pool, second), 40);
  EXPECT_EQ(answer(pool, first), 100) << "it was copied, not taken";
  EXPECT_EQ(answer(pool, second), 60);
  EXPECT_EQ(pool.stats().idle, 2u);
  EXPECT_EQ(answer(pool, third), 40);
}

TEST(SessionPool, who_comes_back_while_it_is_copied_finds_its_cache) {
  SessionPool pool(engine(), {}, kPlenty);
  const auto conversation = [](int32_t start) {
    std::vector<int32_t> ids = prompt(1, 40);
    for (const int32_t id : prompt(start, 60)) ids.push_back(id);
    return ids;
  };
  answer(pool, conversation(100));
  std::vector<std::thread> users;
  for (const int32_t user : {200, 300, 400})
    users.emplace_back([&, user] {
      EXPECT_EQ(answer(pool, conversation(user)), 40);
      for (int32_t i = 0; i < 10; ++i) {
        EXPECT_EQ(answer(pool, conversation(user)), 100);
        answer(pool, conversation(user + 1 + i));  // copies somebody's
        static_cast<void>(pool.stats());
      }
    });
  for (std::thread& user : users) user.join();
}

TEST(SessionPool, the_least_recently_used_go_first_when_memory_is_short) {
  uint64_t one = 0;
  {
    SessionPool pool(engine(), {}, kPlenty);
    answer(pool, prompt(1, 40));
    one = pool.stats().bytes;
  }
  ASSERT_GT(one, 0u);
  SessionPool pool(engine(), {}, 2 * one);
  for (const int32_t start : {1, 100, 200}) answer(pool, prompt(start, 40));
  EXPECT_EQ(pool.stats().idle, 2u);
  EXPECT_LE(pool.stats().bytes, 2 * one);
  EXPECT_EQ(answer(pool, prompt(100, 40)), 40);
  EXPECT_EQ(answer(pool, prompt(1, 40)), 0) << "the oldest is gone";
}

TEST(SessionPool, without_memory_nothing_is_kept) {
  SessionPool pool(engine(), {}, 0);
  answer(pool, prompt(1, 40));
  EXPECT_EQ(pool.stats().idle, 0u);
  EXPECT_FALSE(pool.clear());
}

TEST(SessionPool, a_prompt_that_does_not_fit_is_an_error_and_costs_no_cache) {
  SessionPool pool(engine(), {.context = 64}, kPlenty);
  answer(pool, prompt(1, 40));
  EXPECT_EQ(pool.take(prompt(1, 60)).error().code, ErrorCode::kContextFull);
  EXPECT_EQ(answer(pool, prompt(1, 40)), 40);
}

}  // namespace
}  // namespace dgemma::server
