// Distances between rows and models, against direct computations in double precision.
#include "dgemma/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "dgemma/inspect.h"
#include "diffusion/sampler.h"
#include "engine/model_run.h"
#include "engine/row_distance.h"
#include "golden.h"
#include "ops/product.h"

namespace dgemma {
namespace {

using testing::HasSubstr;

/// Logits of one row over the whole vocabulary.
using Logits = std::vector<double>;

double log_sum_exp(const Logits& z) {
  const double max = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double x : z) sum += std::exp(x - max);
  return max + std::log(sum);
}

double direct_kl(const Logits& a, const Logits& b) {
  const double lse_a = log_sum_exp(a), lse_b = log_sum_exp(b);
  double kl = 0;
  for (size_t v = 0; v < a.size(); ++v) kl += std::exp(a[v] - lse_a) * ((a[v] - lse_a) - (b[v] - lse_b));
  return kl;
}

double weight_at(const tensor::Weight& w, size_t row, size_t col) {
  if (w.dtype == tensor::DType::kF32) return w.f32(row)[col];
  const uint32_t bits = uint32_t{w.bf16(row)[col]} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

Logits direct_logits(const ops::VocabularyWeights& w, tensor::ConstBlocks hidden, size_t row, double temperature) {
  Logits z(w.head.rows);
  for (size_t v = 0; v < z.size(); ++v) {
    double sum = 0;
    for (size_t d = 0; d < w.head.cols; ++d) sum += weight_at(w.head, v, d) * hidden.at(row, d);
    z[v] = w.softcap * std::tanh(sum / w.softcap) / temperature;
  }
  return z;
}

/// A random LM head whose vocabulary is not a whole number of the walk's parts, and random rows.
struct RandomSide {
  static constexpr size_t kVocab = 4500, kWidth = 8, kRows = 20;
  std::vector<float> table = std::vector<float>(kVocab * kWidth);
  tensor::BlockMatrix hidden{kRows, kWidth};
  ops::VocabularyWeights weights;

  explicit RandomSide(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& x : table) x = normal(random);
    for (size_t row = 0; row < kRows; ++row)
      for (size_t d = 0; d < kWidth; ++d) hidden.view().at(row, d) = 2 * normal(random);
    weights.head = {tensor::DType::kF32, table.data(), kVocab, kWidth};
    weights.embedding = weights.head, weights.softcap = 30;
  }
};

TEST(RowDistances, are_the_kl_divergences_over_the_whole_vocabulary) {
  const RandomSide a(1), b(2);
  ops::Exec exec_a(*kernels::available().back(), 2), exec_b(*kernels::available().front(), 2);
  const double temperature = 0.7;
  const auto got = engine::row_distances({exec_a, a.weights, a.hidden.view()}, {exec_b, b.weights, b.hidden.view()},
                                         temperature, RandomSide::kRows);
  ASSERT_EQ(got.size(), RandomSide::kRows);
  for (size_t row = 0; row < got.size(); ++row) {
    const Logits za = direct_logits(a.weights, a.hidden.view(), row, temperature);
    const Logits zb = direct_logits(b.weights, b.hidden.view(), row, temperature);
    EXPECT_NEAR(got[row].kl, direct_kl(za, zb), 1e-4) << row;
    EXPECT_EQ(got[row].best_a, std::max_element(za.begin(), za.end()) - za.begin());
    EXPECT_EQ(got[row].best_b, std::max_element(zb.begin(), zb.end()) - zb.begin());
    EXPECT_NEAR(got[row].p_a, std::exp(*std::max_element(za.begin(), za.end()) - log_sum_exp(za)), 1e-5);
    EXPECT_NEAR(got[row].p_b, std::exp(*std::max_element(zb.begin(), zb.end()) - log_sum_exp(zb)), 1e-5);
  }
}

TEST(RowDistances, are_exactly_zero_between_equals_also_where_temperatures_are_tiny) {
  const RandomSide a(3);
  ops::Exec exec(*kernels::available().back(), 1);
  for (const double temperature : {1.0, 0.4, 1e-3}) {
    const engine::HeadRows side{exec, a.weights, a.hidden.view()};
    for (const auto& d : engine::row_distances(side, side, temperature, RandomSide::kRows)) {
      EXPECT_EQ(d.kl, 0);
      EXPECT_EQ(d.best_a, d.best_b);
      EXPECT_GT(d.p_a, 0);
    }
  }
}

TEST(Summarise, orders_rows_and_counts_agreements) {
  std::vector<engine::RowDistance> rows(4);
  rows[0].kl = 3, rows[1].kl = 1, rows[2].kl = 0, rows[3].kl = 8;
  rows[3].best_b = 9;
  const DistanceSummary s = engine::summarise(rows);
  EXPECT_EQ(s.mean_kl, 3);
  EXPECT_EQ(s.median_kl, 2);
  EXPECT_EQ(s.max_kl, 8);
  EXPECT_EQ(s.argmax_agreement, 0.75);
  EXPECT_EQ(engine::summarise({}).max_kl, 0);
}

EngineOptions tiny(const std::string& name) {
  EngineOptions o;
  o.model_path = golden::folder() + name;
  o.threads = 2, o.compute = "f32";
  return o;
}

CompareOptions two_prompts() {
  CompareOptions o;
  o.prompt_ids = {{2, 5, 9}, {2, 100, 200, 300, 7}};
  o.seed = 3, o.sampler.max_denoising_steps = 4, o.sampler.confidence_threshold = 0;
  return o;
}

/// A copy of tiny-a whose weights have other low bits.
std::string perturbed_tiny_a() {
  const std::string folder = testing::TempDir() + "perturbed";
  std::filesystem::create_directories(folder);
  const auto from = golden::folder() + "tiny-a/";
  for (const char* name : {"config.json", "generation_config.json"})
    std::filesystem::copy_file(from + name, folder + "/" + name, std::filesystem::copy_options::overwrite_existing);
  std::ifstream in(from + "model.safetensors", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (size_t i = sizeof header + header; i + 1 < bytes.size(); i += 2) bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
  std::ofstream(folder + "/model.safetensors", std::ios::binary) << bytes;
  return folder;
}

TEST(Compare, rows_of_a_first_step_are_what_both_models_compute) {
  EngineOptions a = tiny("tiny-a"), b = a;
  b.model_path = perturbed_tiny_a();
  const auto report = compare_models(a, b, two_prompts());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GT(report->summary.mean_kl, 1e-5) << "the copy must differ";

  // Step 0 of the first prompt by hand: a sweep of each model, all logits, the sum.
  const auto hidden_of = [](const engine::LoadedModel& loaded) {
    const model::Config& config = loaded.model.config();
    ops::Exec exec(*loaded.settings.table, 1);
    const auto workspace = model::make_workspace();
    model::KvCache cache = loaded.model.new_cache();
    const std::vector<int32_t> prompt = {2, 5, 9}, canvas = diffusion::initial_canvas(3, 0, 16, config.vocab);
    model::RowGroup group;
    group.cache = &cache, group.tokens = prompt;
    EXPECT_TRUE(loaded.model.sweep(exec, *workspace, {&group, 1}));
    std::vector<double> uniform(16, 0.5);
    std::vector<ops::RowPrediction> predictions(16);
    model::SelfConditioning none;
    group.tokens = canvas, group.denoise = true, group.uniform = uniform;
    group.conditioning = &none, group.predictions = predictions;
    tensor::BlockMatrix hidden(16, size_t(config.width));
    const auto tap = [&](size_t layer, tensor::ConstBlocks x) {
      if (layer + 1 == size_t(config.layers))
        ops::rms_norm(exec, x, loaded.model.weights().final_norm, float(config.norm_eps), hidden.view());
    };
    EXPECT_TRUE(loaded.model.sweep(exec, *workspace, {&group, 1}, tap));
    return hidden;
  };
  const auto model_a = engine::load_model(a), model_b = engine::load_model(b);
  ASSERT_TRUE(model_a && model_b);
  const auto hidden_a = hidden_of(*model_a), hidden_b = hidden_of(*model_b);
  const ComparedStep& step = report->steps.front();
  EXPECT_DOUBLE_EQ(step.temperature, 0.8);
  ASSERT_EQ(step.kl.size(), 16u);
  for (size_t row = 0; row < 16; ++row) {  // logits are f32 in one and double in the other
    const double kl =
        direct_kl(direct_logits(model_a->model.weights().vocabulary, hidden_a.view(), row, step.temperature),
                  direct_logits(model_b->model.weights().vocabulary, hidden_b.view(), row, step.temperature));
    EXPECT_NEAR(step.kl[row], kl, 1e-5 * (1 + kl)) << row;
  }
}

TEST(Compare, worst_rows_and_summaries_come_from_the_same_rows) {
  EngineOptions a = tiny("tiny-a"), b = a;
  b.model_path = perturbed_tiny_a();
  CompareOptions options = two_prompts();
  options.worst_rows = 3;
  const auto r = compare_models(a, b, options);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->prompts, 2);
  ASSERT_EQ(r->steps.size(), 8u);
  EXPECT_EQ(r->rows, 8 * 16);
  ASSERT_EQ(r->worst.size(), 3u);
  EXPECT_EQ(r->worst[0].kl, r->summary.max_kl);
  EXPECT_GE(r->worst[0].kl, r->worst[1].kl);
  for (const ComparedRow& w : r->worst) {
    const auto step = std::find_if(r->steps.begin(), r->steps.end(),
                                   [&](const ComparedStep& s) { return s.prompt == w.prompt && s.step == w.step; });
    ASSERT_NE(step, r->steps.end());
    EXPECT_EQ(step->kl[size_t(w.row)], w.kl);
  }
}

TEST(Compare, a_model_is_no_distance_from_itself_in_another_file_format) {
  const auto r = compare_models(tiny("tiny-a"), tiny("tiny-a.gguf"), two_prompts());
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->summary.max_kl, 0);
  EXPECT_EQ(r->summary.argmax_agreement, 1);
}

TEST(Compare, refuses_one_model_with_the_same_settings_twice) {
  EngineOptions a = tiny("tiny-a"), b = tiny("../golden/tiny-a");
  a.compute = "int8", b.compute = "auto", b.threads = 1;
  const auto r = compare_models(a, b, two_prompts());
  ASSERT_FALSE(r) << "auto is int8, and threads change nothing";
  EXPECT_EQ(r.error().code, ErrorCode::kUsage);
  EXPECT_THAT(r.error().message, HasSubstr("compute int8 twice. Give another --compute or --kernels"));
}

TEST(Compare, kernel_tables_differ_by_rounding_only) {
  EngineOptions scalar = tiny("tiny-a"), best = scalar;
  scalar.kernels = "scalar";
  CompareOptions options;  // random prompts
  options.random_prompts = 2, options.random_tokens = 40, options.sampler.max_denoising_steps = 3;
  const auto r = compare_models(scalar, best, options);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->a.kernels, "scalar");
  EXPECT_EQ(r->b.kernels, inspect_machine().kernels.back());
  EXPECT_LT(r->summary.mean_kl, 1e-6);
}

TEST(Compare, refuses_models_and_prompts_that_cannot_be_compared) {
  const auto error = [](const EngineOptions& a, const EngineOptions& b, const CompareOptions& options) {
    const auto r = compare_models(a, b, options);
    return r ? std::string("compared") : r.error().message;
  };
  const EngineOptions a = tiny("tiny-a");
  EngineOptions scalar = a;
  scalar.kernels = "scalar";
  EXPECT_THAT(error(a, tiny("tiny-b"), two_prompts()), HasSubstr("same vocabulary, got 512 tokens and 1000 tokens"));
  CompareOptions options = two_prompts();
  options.prompt_ids = {{2}, {512}};
  EXPECT_THAT(error(a, scalar, options), HasSubstr("prompt 2: expected ids from 0 to 511, got 512"));
  options.prompt_ids = {std::vector<int32_t>(1009, 2)};
  EXPECT_THAT(error(a, scalar, options), HasSubstr("prompt 1: expected at most 1008 tokens"));
  options.prompt_ids = {{}};
  EXPECT_THAT(error(a, scalar, options), HasSubstr("expected tokens, got none"));
  options = two_prompts(), options.chat_requests = {R"({"messages": [{"role": "user", "content": "Hi"}]})"};
  EXPECT_THAT(error(a, scalar, options), HasSubstr("no tokenizer"));
  options = two_prompts(), options.random_prompts = 0;
  EXPECT_THAT(error(a, scalar, options), HasSubstr("random_prompts"));
}

}  // namespace
}  // namespace dgemma
