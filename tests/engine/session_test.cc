// What a session promises: the cache is reused up to the first token that differs and never changes an answer; stop;
// limits; clear errors.
#include "dgemma/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stop_token>
#include <thread>

#include "dgemma/engine.h"
#include "engine/prompt.h"
#include "engine/record.h"
#include "golden.h"

namespace dgemma {
namespace {

using testing::HasSubstr;

Engine open_tiny(const std::string& name = "tiny-a") {
  auto engine = Engine::open({.model_path = golden::folder() + name, .threads = 2, .compute = "f32"});
  EXPECT_TRUE(engine) << engine.error().message;
  return std::move(*engine);
}

GenerateOptions quick(int tokens = 32) {
  GenerateOptions o;
  o.seed = 3, o.max_new_tokens = tokens, o.eos_ids = std::vector<int32_t>{};
  o.sampler.max_denoising_steps = 4;
  return o;
}

TEST(Session, a_second_turn_reuses_the_cache_and_answers_as_a_fresh_session_does) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(ids(40, 1)));
  const Answer first = session.generate(quick()).value();
  std::vector<int32_t> next = ids(40, 1);
  next.insert(next.end(), first.tokens.begin(), first.tokens.begin() + 20);  // the answer, rendered anew and shorter
  for (const int32_t id : ids(9, 77)) next.push_back(id);
  ASSERT_TRUE(session.sync_tokens(next));
  const Answer second = session.generate(quick()).value();
  EXPECT_GE(second.summary.cached_tokens, 56) << "the prompt and the first canvas were in the cache";

  Session fresh = engine.new_session({}).value();
  ASSERT_TRUE(fresh.sync_tokens(next));
  const Answer expected = fresh.generate(quick()).value();
  EXPECT_EQ(expected.summary.cached_tokens, 0);
  EXPECT_EQ(second.tokens, expected.tokens);
}

TEST(Session, a_fork_answers_as_a_fresh_session_does_and_changes_nothing_in_the_first) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({.context = 300}).value();
  ASSERT_TRUE(session.sync_tokens(ids(60, 1)));
  ASSERT_TRUE(session.generate(quick()));
  std::vector<int32_t> mine(session.tokens().begin(), session.tokens().end()), other = ids(40, 1);
  for (const int32_t id : ids(30, 77)) other.push_back(id);

  Session fork = session.fork(40).value();
  EXPECT_EQ(fork.tokens().size(), 40u);
  EXPECT_GT(fork.memory_bytes(), 0u);
  const auto expect_as_fresh = [&](Session& s, const std::vector<int32_t>& prompt, int cached) {
    Record got, expected;
    ASSERT_TRUE(s.sync_tokens(prompt));
    EXPECT_GE(s.generate(quick(), std::ref(got)).value().summary.cached_tokens, cached);
    Session fresh = engine.new_session({.context = 300}).value();
    ASSERT_TRUE(fresh.sync_tokens(prompt));
    EXPECT_EQ(fresh.generate(quick(), std::ref(expected)).value().summary.cached_tokens, 0);
    EXPECT_EQ(got, expected);
  };
  expect_as_fresh(fork, other, 40);
  expect_as_fresh(session, mine, 60);
  EXPECT_FALSE(fork.sync_tokens(ids(290, 1))) << "the context is the same";
}

TEST(Session, a_larger_context_is_advice_only_where_the_model_has_one) {
  const Engine engine = open_tiny();
  const auto refusal = [&](int context) {
    Session session = engine.new_session({.context = context}).value();
    const auto too_long = session.sync_tokens(ids(2000, 1));
    EXPECT_EQ(too_long.error().code, ErrorCode::kContextFull);
    return too_long.error().message;
  };
  EXPECT_THAT(refusal(100), testing::EndsWith(". Shorten the prompt or give a larger context"));
  for (const int whole : {0, engine.info().context_length})
    EXPECT_THAT(refusal(whole), testing::EndsWith(". Shorten the prompt: this is all the context that the model has"));
}

TEST(Session, goes_on_after_an_answer_without_a_new_sync) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(ids(10, 1)));
  const Answer first = session.generate(quick(16)).value();
  EXPECT_EQ(session.tokens().size(), 26u);
  ASSERT_TRUE(session.generate(quick(16)));
  EXPECT_EQ(session.tokens().size(), 42u);
}

TEST(Session, the_same_seed_gives_the_same_answer_and_another_seed_another) {
  const Engine engine = open_tiny();
  const auto answer = [&](uint64_t seed) {
    Session session = engine.new_session({}).value();
    EXPECT_TRUE(session.sync_tokens(ids(12, 5)));
    GenerateOptions o = quick();
    o.seed = seed;
    return session.generate(o).value().tokens;
  };
  EXPECT_EQ(answer(1), answer(1));
  EXPECT_NE(answer(1), answer(2));
}

TEST(Session, sessions_on_several_threads_do_not_change_each_other) {
  const Engine engine = open_tiny();
  const auto answer = [&](int32_t start) {
    Session session = engine.new_session({}).value();
    EXPECT_TRUE(session.sync_tokens(ids(25, start)));
    return session.generate(quick()).value().tokens;
  };
  const auto a = answer(1), b = answer(50), c = answer(99);
  std::vector<std::vector<int32_t>> got(3);
  std::vector<std::thread> users;
  for (size_t i = 0; i < 3; ++i) users.emplace_back([&, i] { got[i] = answer(std::vector<int32_t>{1, 50, 99}[i]); });
  for (std::thread& user : users) user.join();
  EXPECT_EQ(got, (std::vector<std::vector<int32_t>>{a, b, c}));
}

TEST(Session, a_stop_from_another_thread_ends_the_answer_and_keeps_what_was_committed) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(ids(12, 5)));
  std::stop_source stop;
  GenerateOptions o = quick(900);
  o.stop = stop.get_token();
  std::thread stopper;
  const Answer answer =
      session
          .generate(o,
                    [&](const Event& event) {
                      if (const auto* done = std::get_if<Committed>(&event); done != nullptr && done->canvas == 1)
                        stopper = std::thread([&] { stop.request_stop(); });
                    })
          .value();
  stopper.join();
  EXPECT_EQ(answer.summary.reason, FinishReason::kCancelled);
  EXPECT_GE(answer.tokens.size(), 32u);
  EXPECT_LT(answer.tokens.size(), 900u);
  EXPECT_EQ(session.tokens().size(), 12 + answer.tokens.size());
  ASSERT_TRUE(session.generate(quick(16))) << "a stopped session can go on";
}

/// What a session answers to `prompt` next is what a new one does.
void expect_usable(const Engine& engine, Session& session, const std::vector<int32_t>& prompt) {
  Session fresh = engine.new_session({}).value();
  for (Session* s : {&session, &fresh}) ASSERT_TRUE(s->sync_tokens(prompt));
  EXPECT_EQ(session.generate(quick()).value().tokens, fresh.generate(quick()).value().tokens);
}

TEST(Session, a_fork_has_no_more_than_the_cache) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({}).value();
  EXPECT_EQ(session.fork(5).value().tokens().size(), 0u);
  ASSERT_TRUE(session.sync_tokens(ids(60, 1)));
  EXPECT_EQ(session.fork(40).value().tokens().size(), 0u) << "nothing is encoded yet";
  ASSERT_TRUE(session.generate(quick(800)));
  EXPECT_EQ(session.fork(20).value().tokens().size(), 0u) << "sliding layers have dropped it";
  Session fork = session.fork(840).value();
  ASSERT_EQ(fork.tokens().size(), 840u);
  std::vector<int32_t> other(fork.tokens().begin(), fork.tokens().end());
  for (const int32_t id : ids(30, 77)) other.push_back(id);
  expect_usable(engine, fork, other);
}

TEST(Session, a_stop_before_generate_computes_nothing) {
  const Engine engine = open_tiny();
  const std::vector<int32_t> prompt = ids(40, 5);
  for (const bool before_sync : {true, false}) {
    Session session = engine.new_session({}).value();
    std::stop_source stop;
    if (before_sync) stop.request_stop();
    ASSERT_TRUE(session.sync_tokens(prompt));
    stop.request_stop();
    GenerateOptions o = quick(900);
    o.stop = stop.get_token();
    const Answer answer = session.generate(o).value();
    EXPECT_EQ(answer.summary.reason, FinishReason::kCancelled);
    EXPECT_EQ(answer.summary.denoising_steps, 0);
    EXPECT_EQ(answer.summary.timing.prompt_s, 0) << "the prompt was not encoded";
    EXPECT_EQ(session.tokens().size(), prompt.size());
    expect_usable(engine, session, prompt);
  }
}

TEST(Session, a_stop_on_any_event_ends_the_answer_before_the_next_step) {
  const Engine engine = open_tiny();
  const std::vector<int32_t> prompt = ids(700, 5);  // two chunks
  for (const size_t at : {0u, 1u, 2u, 4u, 7u}) {    // Started, CanvasStarted, a draft, ...
    Session session = engine.new_session({}).value();
    ASSERT_TRUE(session.sync_tokens(prompt));
    std::stop_source stop;
    GenerateOptions o = quick(200);
    o.stop = stop.get_token();
    size_t events = 0, steps = 0, steps_at_stop = 0;
    const Answer answer = session
                              .generate(o,
                                        [&](const Event& event) {
                                          steps += std::holds_alternative<CanvasDraft>(event);
                                          if (events++ != at) return;
                                          stop.request_stop();
                                          steps_at_stop = steps;
                                        })
                              .value();
    EXPECT_EQ(answer.summary.reason, FinishReason::kCancelled) << at;
    EXPECT_EQ(steps, steps_at_stop) << at;
    expect_usable(engine, session, prompt);
  }
}

TEST(Session, a_stop_at_any_time_during_prompt_or_step_leaves_it_usable) {
  const Engine engine = open_tiny();
  const std::vector<int32_t> prompt = ids(900, 5);
  for (int delay = 0; delay < 12; ++delay) {
    Session session = engine.new_session({}).value();
    ASSERT_TRUE(session.sync_tokens(prompt));
    std::stop_source stop;
    GenerateOptions o = quick(100);
    o.stop = stop.get_token();
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(2 * delay));
      stop.request_stop();
    });
    const auto answer = session.generate(o);
    stopper.join();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(session.tokens().size(), prompt.size() + answer->tokens.size());
    expect_usable(engine, session, prompt);
  }
}

TEST(Session, events_come_in_order_and_end_with_finished) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(ids(12, 5)));
  std::string order;
  const Answer answer =
      session.generate(quick(32), [&](const Event& event) { order += "sndcf"[event.index()]; }).value();
  EXPECT_EQ(order, "snddddcnddddcf");
  EXPECT_EQ(answer.summary.denoising_steps, 8);
  EXPECT_DOUBLE_EQ(answer.summary.tokens_per_forward, 4.0);
}

TEST(Session, drafts_carry_as_many_of_the_most_probable_tokens_as_asked_for_and_nothing_else_changes) {
  const Engine engine = open_tiny();
  const auto drafts = [&](int top_tokens) {
    Session session = engine.new_session({}).value();
    EXPECT_TRUE(session.sync_tokens(ids(12, 5)));
    GenerateOptions o = quick(16);
    o.top_tokens = top_tokens;
    std::vector<TopToken> top;
    const Answer answer = session
                              .generate(o,
                                        [&](const Event& event) {
                                          const auto* draft = std::get_if<CanvasDraft>(&event);
                                          if (draft == nullptr) return;
                                          top.insert(top.end(), draft->top.begin(), draft->top.end());
                                          for (size_t row = 0; !draft->top.empty() && row < 16; ++row)
                                            EXPECT_EQ(draft->top[row * 5].id, draft->best[row]);
                                        })
                              .value();
    return std::pair(answer.tokens, top.size());
  };
  EXPECT_EQ(drafts(5), std::pair(drafts(0).first, size_t{4 * 16 * 5})) << "4 steps of 16 rows";
  EXPECT_EQ(drafts(0).second, 0u);
}

TEST(Session, without_a_limit_it_answers_until_the_context_is_full) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({.context = 100}).value();
  ASSERT_TRUE(session.sync_tokens(ids(30, 5)));
  GenerateOptions o = quick();
  o.max_new_tokens.reset();
  const Answer answer = session.generate(o).value();
  EXPECT_EQ(answer.tokens.size(), 64u) << "four canvases of 16 fit behind 30 tokens in 100";
  EXPECT_EQ(answer.summary.reason, FinishReason::kLength);
}

TEST(Session, bad_requests_get_an_error_with_the_field_and_the_limits) {
  const Engine engine = open_tiny();
  Session session = engine.new_session({.context = 64}).value();
  const auto sync = [&](const std::vector<int32_t>& list) {
    const auto r = session.sync_tokens(list);
    return r ? std::string("accepted") : r.error().message;
  };
  EXPECT_THAT(sync({}), HasSubstr("prompt: expected at least one token"));
  EXPECT_THAT(sync({5, 512}), HasSubstr("prompt: position 1: expected an id from 0 to 511, got 512"));
  EXPECT_THAT(sync({-1}), HasSubstr("got -1"));
  EXPECT_THAT(sync(ids(49, 1)), HasSubstr("prompt: expected at most 48 tokens"));
  EXPECT_EQ(sync(ids(48, 1)), "accepted");

  const auto generate = [&](auto change) {
    GenerateOptions o = quick(1);
    change(o);
    const auto r = session.generate(o);
    return r ? std::string("accepted") : r.error().message;
  };
  EXPECT_THAT(generate([](GenerateOptions& o) { o.canvas_ids = ids(15, 1); }),
              HasSubstr("canvas_ids: expected 16 ids, got 15"));
  EXPECT_THAT(generate([](GenerateOptions& o) { o.canvas_ids = std::vector<int32_t>(16, 512); }),
              HasSubstr("canvas_ids: position 0"));
  EXPECT_THAT(generate([](GenerateOptions& o) { o.eos_ids = std::vector<int32_t>{-4}; }), HasSubstr("eos_ids"));
  EXPECT_THAT(generate([](GenerateOptions& o) { o.max_new_tokens = 0; }), HasSubstr("max_new_tokens"));
  EXPECT_THAT(generate([](GenerateOptions& o) { o.sampler.t_min = -1; }), HasSubstr("t_min"));
  EXPECT_THAT(generate([](GenerateOptions& o) { o.top_tokens = 21; }), HasSubstr("top_tokens: expected 0 to 20"));
  EXPECT_EQ(generate([](GenerateOptions&) {}), "accepted");
  EXPECT_FALSE(engine.new_session({.context = 1025}));
  EXPECT_FALSE(session.sync_chat("{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}")) << "no tokenizer";
}

TEST(Session, names_the_tensor_whose_values_make_the_logits_not_finite) {
  const std::string folder = testing::TempDir() + "broken";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(golden::folder() + "tiny-a", folder);
  std::fstream file(folder + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof length);
  std::string header(length, '\0');
  file.read(header.data(), static_cast<std::streamsize>(length));
  const auto tensor = nlohmann::json::parse(header)["model.decoder.layers.1.mlp.up_proj.weight"];
  file.seekp(static_cast<std::streamoff>(8 + length + tensor["data_offsets"][0].get<uint64_t>() + 2 * 5));
  const uint16_t infinity = 0x7F80;  // bf16
  file.write(reinterpret_cast<const char*>(&infinity), sizeof infinity);
  file.close();
  const auto engine =
      Engine::open({.model_path = folder, .threads = 1, .kernels = {}, .compute = "f32", .progress = {}});
  ASSERT_TRUE(engine) << engine.error().message;
  Session session = engine->new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(ids(10, 1)));
  const auto answer = session.generate(quick());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kModelFile);
  EXPECT_THAT(answer.error().message,
              HasSubstr("model.safetensors: model.decoder.layers.1.mlp.up_proj.weight: expected "
                        "finite values, got inf as number 5"));
}

}  // namespace
}  // namespace dgemma
