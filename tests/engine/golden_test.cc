// Whole trajectories against transformers: every token of every step of every canvas, from safetensors and from GGUF,
// with one and with two threads, with every saving of SweepOptions and without each. Says the first canvas, step, field
// and row that differ.
#include <gtest/gtest.h>

#include <algorithm>

#include "dgemma/engine.h"
#include "dgemma/session.h"
#include "dgemma/trace.h"
#include "engine/savings.h"
#include "golden.h"
#include "rewritten.h"

namespace dgemma {
namespace {

using nlohmann::json;

struct Variant {
  golden::Case golden;
  std::string suffix;  // "" safetensors, ".gguf"
  int threads;
  std::string without;  // the saving that is left out; "" none
  friend void PrintTo(const Variant& v, std::ostream* out) {
    *out << v.golden.model << "/" << v.golden.name << v.suffix << " threads " << v.threads << " without " << v.without;
  }
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const golden::Case& c : golden::cases())
    for (const char* suffix : {"", ".gguf"})
      for (const int threads : {1, 2}) all.push_back({c, suffix, threads, ""});
  for (const golden::Case& c : golden::cases()) {
    for (const auto& [saving, field] : kSavings) all.push_back({c, "", 1, saving});
    all.push_back({c, "", 2, "all"});
  }
  all.push_back({{"tiny-c", "converges"}, "-split.gguf", 2, ""});  // F32, gate and up of the experts in two tensors
  return all;
}

GenerateOptions options_of(const json& start) {
  GenerateOptions o;
  const json& s = start["options"];
  o.seed = start["seed"].get<uint64_t>();
  o.max_new_tokens = s["max_new_tokens"].get<int>();
  o.sampler.max_denoising_steps = s["max_denoising_steps"].get<int>();
  o.sampler.t_min = s["t_min"].get<double>();
  o.sampler.t_max = s["t_max"].get<double>();
  o.sampler.entropy_bound = s["entropy_bound"].get<double>();
  o.sampler.stability_threshold = s["stability_threshold"].get<int>();
  o.sampler.confidence_threshold = s["confidence_threshold"].get<double>();
  o.eos_ids = start["eos_ids"].get<std::vector<int32_t>>();
  if (!start["canvas_ids"].is_null()) o.canvas_ids = start["canvas_ids"].get<std::vector<int32_t>>();
  return o;
}

/// Compares one line with the recorded one, field by field and row by row.
void expect_line(const json& got, const json& recorded, const std::string& where) {
  for (const char* field : {"input", "best", "sample", "accepted", "next", "tokens"}) {
    if (!recorded.contains(field)) continue;
    ASSERT_EQ(got[field].size(), recorded[field].size()) << where << " " << field;
    for (size_t row = 0; row < recorded[field].size(); ++row)
      ASSERT_EQ(got[field][row], recorded[field][row]) << where << ": first difference in " << field << ", row " << row;
  }
  for (const char* field : {"entropy", "best_logprob"}) {
    if (!recorded.contains(field)) continue;
    for (size_t row = 0; row < recorded[field].size(); ++row)
      ASSERT_NEAR(got[field][row].get<double>(), recorded[field][row].get<double>(), 1e-3)
          << where << ": first difference in " << field << ", row " << row;
  }
  for (const char* field : {"type", "canvas", "step", "steps", "committed", "reason", "finish_reason"})
    if (recorded.contains(field)) {
      ASSERT_EQ(got[field], recorded[field]) << where << " " << field;
    }
}

class Golden : public testing::TestWithParam<Variant> {};

TEST_P(Golden, trajectory_is_reproduced_token_for_token) {
  const Variant v = GetParam();
  const auto recorded = golden::trace(v.golden);
  const auto engine = Engine::open(
      {.model_path = golden::folder() + v.golden.model + v.suffix, .threads = v.threads, .compute = "f32"});
  ASSERT_TRUE(engine) << engine.error().message;
  auto session = engine->new_session({});
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->sync_tokens(recorded[0]["prompt_ids"].get<std::vector<int32_t>>()));
  const std::string path = testing::TempDir() + "" + v.golden.model + v.golden.name + v.suffix +
                           std::to_string(v.threads) + v.without + ".trace.jsonl";
  auto trace = TraceWriter::open(path);
  ASSERT_TRUE(trace);
  GenerateOptions options = options_of(recorded[0]);
  options.sweeps = savings_without(v.without);
  const auto answer = session->generate(options, [&](const Event& event) { trace->on_event(event); });
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(trace->finish());
  const auto got = golden::read_trace(path);
  for (size_t i = 1; i < std::min(got.size(), recorded.size()); ++i)
    ASSERT_NO_FATAL_FAILURE(expect_line(got[i], recorded[i], "line " + std::to_string(i)));
  EXPECT_EQ(got.size(), recorded.size());
  EXPECT_EQ(json(answer->tokens), recorded.back()["tokens"]);
}

// The reference always returns whole canvases: of a shorter answer all lines but the last are the same.
TEST(GoldenCut, canvases_of_an_answer_that_ends_inside_one_are_traced_whole) {
  const auto recorded = golden::trace({"tiny-b", "given-canvas"});
  const auto engine = Engine::open(
      {.model_path = golden::folder() + "tiny-b", .threads = 1, .kernels = {}, .compute = "f32", .progress = {}});
  ASSERT_TRUE(engine) << engine.error().message;
  Session session = engine->new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(recorded[0]["prompt_ids"].get<std::vector<int32_t>>()));
  const std::string path = testing::TempDir() + "cut.trace.jsonl";
  auto trace = TraceWriter::open(path);
  ASSERT_TRUE(trace);
  GenerateOptions options = options_of(recorded[0]);
  options.max_new_tokens = 30;  // of 48
  ASSERT_TRUE(session.generate(options, [&](const Event& event) { trace->on_event(event); }));
  ASSERT_TRUE(trace->finish());
  const auto got = golden::read_trace(path);
  ASSERT_EQ(got.size(), recorded.size());
  for (size_t i = 1; i + 1 < got.size(); ++i)
    ASSERT_NO_FATAL_FAILURE(expect_line(got[i], recorded[i], "line " + std::to_string(i)));
  const auto whole = recorded.back()["tokens"].get<std::vector<int32_t>>();
  EXPECT_EQ(got.back()["tokens"], json(std::vector<int32_t>(whole.begin(), whole.begin() + 30)));
}

/// Runs a recorded case on a model that was written again.
void expect_trajectory(const std::string& path, const golden::Case& c, int threads) {
  const auto recorded = golden::trace(c);
  const auto engine = Engine::open({.model_path = path, .threads = threads, .compute = "f32"});
  ASSERT_TRUE(engine) << engine.error().message;
  Session session = engine->new_session({}).value();
  ASSERT_TRUE(session.sync_tokens(recorded[0]["prompt_ids"].get<std::vector<int32_t>>()));
  const std::string file = path + ".trace.jsonl";
  auto trace = TraceWriter::open(file);
  ASSERT_TRUE(trace);
  const auto answer = session.generate(options_of(recorded[0]), [&](const Event& event) { trace->on_event(event); });
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(trace->finish());
  const auto got = golden::read_trace(file);
  ASSERT_EQ(got.size(), recorded.size());
  for (size_t i = 1; i < got.size(); ++i)
    ASSERT_NO_FATAL_FAILURE(expect_line(got[i], recorded[i], "line " + std::to_string(i)));
}

// Every third tensor stays bf16; of the others those that f16 holds exactly become f16 and the rest f32, and none of
// them is aligned.
TEST(GoldenTypes, the_same_values_in_a_mixture_of_types_give_the_same_trajectory) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  int halves = 0, singles = 0, number = 0;
  for (auto& [name, t] : tensors) {
    if (number++ % 3 == 0) continue;
    const std::vector<float> values = t.values();
    const golden::Stored half = golden::stored(tensor::DType::kF16, t.shape, values);
    const bool exact = half.values() == values;
    t = exact ? half : golden::stored(tensor::DType::kF32, t.shape, values);
    ++(exact ? halves : singles);
  }
  EXPECT_GT(halves, 20);
  EXPECT_GE(singles, 5);
  const std::string path = golden::write_folder("mixture", "tiny-c", tensors, [](json& config) {
    json& text = config["text_config"];  // as old transformers spell it
    text["global_head_dim"] = text["per_layer_config"]["1"]["head_dim"];
    text["num_global_key_value_heads"] = 1;
    text.erase("per_layer_config");
  });
  for (const int threads : {1, 2}) expect_trajectory(path, {"tiny-c", "converges"}, threads);
}

// transformers ties the head only to equal values, whatever their types and whatever tie_word_embeddings says.
TEST(GoldenHead, a_head_with_the_embeddings_values_in_another_type_is_the_embedding) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  const golden::Stored table = tensors["model.decoder.embed_tokens.weight"];
  tensors["lm_head.weight"] = golden::stored(tensor::DType::kF32, table.shape, table.values());
  expect_trajectory(golden::write_folder("equal_head", "tiny-c", tensors), {"tiny-c", "converges"}, 2);
}

TEST(GoldenHead, a_head_with_other_values_is_used_beside_the_embedding) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  const golden::Stored table = tensors["model.decoder.embed_tokens.weight"];
  std::vector<float> values = table.values();
  std::rotate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(table.shape[1]), values.end());
  for (float& v : values) v *= 1.05f;
  tensors["lm_head.weight"] = golden::stored(tensor::DType::kF32, table.shape, values);
  const std::string path = golden::write_folder("own_head", "tiny-c", tensors);
  for (const int threads : {1, 2}) expect_trajectory(path, {"tiny-c", "own-head"}, threads);
}

/// The trace of a recorded case's request on a copy of its model whose ropes have this theta, without its end line,
/// which has times.
std::vector<json> trace_with_theta(const golden::Case& c, double theta) {
  const std::string path = golden::write_folder("theta", c.model, golden::tensors_of(c.model), [theta](json& config) {
    for (json& rope : config["text_config"]["rope_parameters"]) rope["rope_theta"] = theta;
  });
  const auto start = golden::trace(c)[0];
  const auto engine = Engine::open({.model_path = path, .threads = 1, .compute = "f32"});
  EXPECT_TRUE(engine) << engine.error().message;
  Session session = engine->new_session({}).value();
  EXPECT_TRUE(session.sync_tokens(start["prompt_ids"].get<std::vector<int32_t>>()));
  auto trace = TraceWriter::open(path + ".trace.jsonl");
  EXPECT_TRUE(session.generate(options_of(start), [&](const Event& event) { trace->on_event(event); }));
  EXPECT_TRUE(trace->finish());
  std::vector<json> lines = golden::read_trace(path + ".trace.jsonl");
  lines.pop_back();
  return lines;
}

// torch takes powers of a float32 base, and GGUF has no other: 2^20 + 0.06 is 2^20 there.
TEST(GoldenRope, theta_counts_as_the_nearest_float32) {
  const golden::Case c = {"tiny-a", "two-windows"};
  EXPECT_EQ(trace_with_theta(c, 1048576.06), trace_with_theta(c, 1048576));
  EXPECT_NE(trace_with_theta(c, 1048576.06), trace_with_theta(c, 1048576.125));  // the next one
}

INSTANTIATE_TEST_SUITE_P(Transformers, Golden, testing::ValuesIn(variants()));

}  // namespace
}  // namespace dgemma
