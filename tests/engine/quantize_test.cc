#include "dgemma/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "dgemma/engine.h"
#include "dgemma/inspect.h"
#include "dgemma/session.h"
#include "golden.h"

namespace dgemma {
namespace {

using testing::HasSubstr;

EngineOptions options(const std::string& path, const std::string& compute, int threads) {
  EngineOptions o;
  o.model_path = path, o.compute = compute, o.threads = threads;
  return o;
}

/// The tokens that a model answers a fixed prompt with, from a fixed seed.
std::vector<int32_t> answer(const EngineOptions& o) {
  const auto engine = Engine::open(o);
  EXPECT_TRUE(engine) << engine.error().message;
  Session session = engine->new_session({}).value();
  EXPECT_TRUE(session.sync_tokens(std::vector<int32_t>{2, 17, 45, 3, 99}));
  GenerateOptions g;
  g.seed = 7, g.max_new_tokens = 48, g.eos_ids = std::vector<int32_t>{};
  const auto result = session.generate(g, {});
  EXPECT_TRUE(result) << result.error().message;
  return result->tokens;
}

std::string packed(const std::string& model, int bits = 0) {
  const std::string path = testing::TempDir() + "quantized.gguf";
  QuantizeOptions o;
  o.model_path = golden::folder() + model, o.output_path = path, o.threads = 2, o.bits = bits;
  const auto done = quantize_model(o);
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->written_bytes, std::filesystem::file_size(path));
  return path;
}

TEST(Quantize, the_same_seed_gives_the_same_answer_with_every_number_of_threads) {
  const std::string model = golden::folder() + "tiny-a";
  for (const char* compute : {"f32", "bf16", "int8"})
    EXPECT_EQ(answer(options(model, compute, 1)), answer(options(model, compute, 3))) << compute;
}

TEST(Quantize, a_packed_file_answers_like_its_source_packed_in_memory) {
  for (const char* model : {"tiny-a", "tiny-a.gguf"}) {
    const std::string file = packed(model);
    EXPECT_EQ(answer(options(file, "auto", 2)), answer(options(golden::folder() + model, "int8", 2))) << model;
  }
}

TEST(Quantize, four_bits_are_for_all_matrices_but_the_table_of_tokens) {
  const auto types_of = [](const std::string& file) {
    std::map<std::string, int> count;
    std::string table;
    const auto report = inspect_model(file);
    EXPECT_TRUE(report) << report.error().message;
    for (const auto& tensor : report->tensors) {
      ++count[tensor.dtype];
      if (tensor.name == "token_embd.weight") table = tensor.dtype;
    }
    return std::pair{count, table};
  };
  const auto [four, four_table] = types_of(packed("tiny-a", 4));
  const auto [eight, eight_table] = types_of(packed("tiny-a", 8));
  EXPECT_EQ(four_table, "PACKED8");
  EXPECT_EQ(four.at("PACKED8"), 1);
  EXPECT_EQ(four.at("PACKED4") + 1, eight.at("PACKED8"));
  const std::string file = packed("tiny-a", 4);
  EXPECT_EQ(answer(options(file, "auto", 1)), answer(options(file, "auto", 3)));
}

TEST(Quantize, other_numbers_of_bits_are_refused) {
  QuantizeOptions o;
  o.model_path = golden::folder() + "tiny-a", o.output_path = testing::TempDir() + "none.gguf", o.bits = 5;
  const auto done = quantize_model(o);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kUsage);
  EXPECT_THAT(done.error().message, HasSubstr("expected 4 or 8, got 5"));
  EXPECT_FALSE(std::filesystem::exists(o.output_path));
}

TEST(Quantize, a_packed_file_says_what_it_is) {
  const std::string file = packed("tiny-a");
  const auto engine = Engine::open(options(file, "auto", 1));
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ(engine->info().compute, "int8");
  const auto source = Engine::open(options(golden::folder() + "tiny-a", "f32", 1));
  EXPECT_EQ(engine->info().parameters, source->info().parameters);
  EXPECT_EQ(engine->info().eos_ids, source->info().eos_ids);
  const auto report = inspect_model(file);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->problems.empty());
  EXPECT_TRUE(report->missing.empty());
  EXPECT_LT(report->load_bytes, engine->info().weight_bytes / 10) << "it is used where it is mapped";
}

TEST(Quantize, a_packed_file_answers_in_bf16_too_from_its_own_numbers) {
  const std::string file = packed("tiny-a.gguf");
  const auto engine = Engine::open(options(file, "bf16", 2));
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ(engine->info().compute, "bf16");
  EXPECT_EQ(answer(options(file, "bf16", 1)), answer(options(file, "bf16", 3)));
}

TEST(Quantize, f32_of_a_packed_file_is_refused) {
  const auto engine = Engine::open(options(packed("tiny-a"), "f32", 1));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(engine.error().message, HasSubstr("expected int8, bf16 or auto for a packed file, got f32"));
}

TEST(Quantize, the_model_itself_a_folder_and_a_packed_file_are_refused) {
  const std::string model = golden::folder() + "tiny-a", file = packed("tiny-a");
  for (const auto& [from, to] : {std::pair{model, model + "/model.safetensors"},
                                 {model, testing::TempDir()},
                                 {model, std::string()},
                                 {file, file + ".again"}}) {
    QuantizeOptions o;
    o.model_path = from, o.output_path = to;
    const auto done = quantize_model(o);
    ASSERT_FALSE(done) << to;
    EXPECT_EQ(done.error().code, ErrorCode::kUsage) << to;
  }
}

}  // namespace
}  // namespace dgemma
