#include "dgemma/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dgemma/compare.h"
#include "dgemma/inspect.h"
#include "golden.h"
#include "rewritten.h"

namespace dgemma {
namespace {

using testing::HasSubstr;

EngineOptions bench_model(const std::string& name) {
  EngineOptions o;
  o.model_path = golden::folder() + name;
  o.threads = 2;
  return o;
}

/// Small enough for tests: two rounds, short prompts, a small buffer, hardly a look at the machine.
BenchOptions small(int context = 40) {
  BenchOptions o;
  o.context = context, o.repeat = 2, o.read_buffer_bytes = uint64_t{8} << 20, o.rate_seconds = 0.01;
  return o;
}

std::string error_of(const EngineOptions& engine, const BenchOptions& options, ErrorCode code) {
  const auto report = run_bench(engine, options);
  if (report) return "measured";
  EXPECT_EQ(report.error().code, code) << report.error().message;
  return report.error().message;
}

TEST(Bench, measures_every_part_and_their_limits) {
  for (const char* name : {"tiny-a", "tiny-b.gguf", "tiny-c"}) {
    EngineOptions engine = bench_model(name);
    engine.compute = "f32";
    const auto r = run_bench(engine, small());
    ASSERT_TRUE(r) << r.error().message;
    ASSERT_EQ(r->steps.size(), 1u);
    const BenchStep& step = r->steps.front();
    EXPECT_EQ(step.context, 40);
    EXPECT_LE(step.parts.total(), step.seconds);
    EXPECT_LE(step.best_s, step.seconds);
    for (const BenchPart& part : kBenchParts) {
      EXPECT_GT(step.parts.*part.value, 0) << part.name;
      EXPECT_GT(step.work.bytes.*part.value, 0) << part.name;
      EXPECT_GT(step.work.limit_s.*part.value, 0) << part.name;
    }
    EXPECT_GT(r->read_bytes_per_s, 0);
    EXPECT_GT(r->f32_ops_per_s, 0);
    EXPECT_GT(r->load_s, 0);
    EXPECT_GT(r->commit_s, 0);
    EXPECT_GT(r->peak_rss_bytes, r->weight_bytes);
    EXPECT_EQ(r->rounds, 2);
    EXPECT_LE(r->check.mean_kl, r->check.bound);
    EXPECT_NE(r->check.kernels, r->kernels) << "a reference that is itself says nothing";
  }
}

TEST(Bench, measures_int8_by_default_and_compares_it_with_f32) {
  for (const char* name : {"tiny-a", "tiny-a.gguf", "tiny-c"}) {
    const auto r = run_bench(bench_model(name), small());
    ASSERT_TRUE(r) << r.error().message;
    EXPECT_EQ(r->compute, "int8");
    EXPECT_GT(r->int8_ops_per_s, 0);
    EXPECT_EQ(r->check.compute, "f32");
    EXPECT_GT(r->check.mean_kl, 0);
    EXPECT_LE(r->check.mean_kl, r->check.bound);
    for (const BenchPart& part : kBenchParts) EXPECT_GT(r->steps.front().work.limit_s.*part.value, 0) << part.name;
  }
}

TEST(Bench, shows_no_number_where_int8_is_too_far_from_f32) {
  EXPECT_THAT(error_of(bench_model("tiny-b"), small(), ErrorCode::kInternal),
              HasSubstr("No number of this run is shown. A model that was never trained may be that far off"));
}

TEST(Bench, breaks_even_where_both_ways_make_as_many_tokens_per_second) {
  const auto r = run_bench(bench_model("tiny-a"), small());
  ASSERT_TRUE(r) << r.error().message;
  const double canvas_s = r->break_even_steps * r->steps.front().seconds + r->commit_s;
  EXPECT_NEAR(r->canvas_length / canvas_s, r->decode.tokens_per_s, 1e-6 * r->decode.tokens_per_s);
  const double spent = r->steps_per_canvas * r->steps.front().seconds + r->commit_s;
  EXPECT_NEAR(r->tokens_per_s, r->canvas_length / spent, 1e-6 * r->tokens_per_s);
  EXPECT_EQ(r->steps_per_canvas, 48);
  ASSERT_EQ(r->diffusion.size(), 3u);
  EXPECT_EQ(r->diffusion[0].steps_per_canvas, 8);
  EXPECT_EQ(r->diffusion[1].steps_per_canvas, 16);
  EXPECT_EQ(r->diffusion[2].tokens_per_s, r->tokens_per_s);
  for (const BenchDiffusion& d : r->diffusion)
    EXPECT_EQ(d.tokens_per_s > r->decode.tokens_per_s, d.steps_per_canvas < r->break_even_steps);
}

TEST(Bench, the_median_of_two_rounds_lies_between_them) {
  const auto r = run_bench(bench_model("tiny-a"), small(8));
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->rounds, 2);
  const BenchStep& step = r->steps.front();
  EXPECT_GT(step.seconds, step.best_s);
  EXPECT_LE(step.parts.total(), step.seconds);
}

TEST(Bench, contexts_are_clipped_to_what_the_model_has) {
  const auto r = run_bench(bench_model("tiny-a"), small(0));
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->steps.size(), 2u);
  EXPECT_EQ(r->steps[0].context, 512);
  EXPECT_EQ(r->steps[1].context, 1024 - 16);
  EXPECT_EQ(r->prefill[1].tokens, 1024 - 16);
  EXPECT_GT(r->prefill[1].seconds, r->prefill[0].seconds);
}

TEST(Bench, a_prompt_sets_the_default_context_and_fills_longer_ones) {
  BenchOptions options = small(64);
  options.prompt_ids = {2, 5, 9};
  const auto r = run_bench(bench_model("tiny-a"), options);
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->steps.size(), 2u);
  EXPECT_EQ(r->steps[0].context, 3);
  EXPECT_EQ(r->steps[1].context, 64);
}

TEST(Bench, every_kernel_table_is_checked_against_another_one) {
  for (const std::string& kernels : inspect_machine().kernels) {
    EngineOptions engine = bench_model("tiny-a");
    engine.kernels = kernels, engine.compute = "f32";
    const auto r = run_bench(engine, small(8));
    ASSERT_TRUE(r) << r.error().message;
    EXPECT_EQ(r->kernels, kernels);
    EXPECT_LT(r->check.mean_kl, 1e-6);
    EXPECT_EQ(r->check.argmax_agreement, 1);
  }
}

TEST(Bench, tells_what_it_is_doing) {
  BenchOptions options = small(8);
  std::vector<std::string> told;
  options.progress = [&told](std::string_view what) { told.emplace_back(what); };
  ASSERT_TRUE(run_bench(bench_model("tiny-a"), options));
  EXPECT_THAT(told, testing::Contains("denoising steps at 8 tokens"));
  EXPECT_THAT(told, testing::Contains("the reference"));
}

TEST(Bench, counts_the_experts_that_rows_chose_and_tells_where_they_all_choose_the_same) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");  // three experts, one a row
  for (const char* layer : {"0", "1"}) {
    std::string& router = tensors[std::string("model.decoder.layers.") + layer + ".router.proj.weight"].bytes;
    router.assign(router.size(), '\0');
  }
  EngineOptions engine;
  engine.model_path = golden::write_folder("one_expert", "tiny-c", tensors), engine.compute = "f32", engine.threads = 2;
  BenchOptions options = small();
  const auto model = run_bench(engine, options);
  options.routing = BenchRouting::kEven;
  const auto even = run_bench(engine, options);
  ASSERT_TRUE(model && even);
  const BenchStep &alike = model->steps.front(), &spread = even->steps.front();
  EXPECT_EQ(alike.experts_touched.experts, 3);
  EXPECT_EQ(alike.experts_touched.mean, 1);
  EXPECT_TRUE(alike.experts_touched.collapsed());
  EXPECT_NEAR(alike.experts_touched.independent, 3 * (1 - std::pow(2.0 / 3, model->canvas_length)), 1e-12);
  EXPECT_EQ(spread.experts_touched.least, 3);
  EXPECT_EQ(spread.experts_touched.most, 3);
  EXPECT_FALSE(spread.experts_touched.collapsed());
  EXPECT_EQ(spread.work.bytes.experts, 3 * alike.work.bytes.experts);
  EXPECT_EQ(spread.work.operations.experts, alike.work.operations.experts);
  EXPECT_EQ(even->weight_bytes - model->weight_bytes, 2 * alike.work.bytes.experts);
  EXPECT_EQ(even->decode.weight_bytes, model->decode.weight_bytes) << "one expert a layer either way";
  EXPECT_LT(even->check.mean_kl, 1e-6) << "the reference chooses by the same draw";
  EXPECT_EQ(even->check.argmax_agreement, 1);
}

TEST(Bench, experts_of_a_router_that_spreads_rows_are_not_called_few) {
  for (const BenchRouting routing : {BenchRouting::kModel, BenchRouting::kEven}) {
    BenchOptions options = small();
    options.routing = routing;
    const auto r = run_bench(bench_model("tiny-a"), options);
    ASSERT_TRUE(r) << r.error().message;
    EXPECT_EQ(r->routing, routing);
    EXPECT_FALSE(r->steps.front().experts_touched.collapsed());
    EXPECT_GT(r->check.mean_kl, 0) << "int8 against f32";
  }
}

TEST(Bench, names_the_file_and_the_tensor_whose_values_make_the_logits_not_finite) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  const std::string name = "model.decoder.layers.1.mlp.up_proj.weight";
  tensors[name].bytes.replace(2 * 5, 2, "\x80\x7F");  // infinity in bf16
  EngineOptions engine;
  engine.model_path = golden::write_folder("broken_bench", "tiny-c", tensors);
  const std::string finite = name + ": expected finite values, got inf as number 5";
  for (const char* compute : {"f32", "bf16"}) {
    engine.compute = compute;
    EXPECT_THAT(error_of(engine, small(8), ErrorCode::kModelFile),
                HasSubstr("broken_bench/model.safetensors: " + finite));
  }
  engine.compute = "int8";  // found while it is packed
  EXPECT_THAT(error_of(engine, small(8), ErrorCode::kModelFile),
              HasSubstr("broken_bench/model.safetensors: " + finite));
  EngineOptions good = bench_model("tiny-c");
  engine.compute = good.compute = "f32";
  const auto compared = compare_models(good, engine, {});
  ASSERT_FALSE(compared);
  EXPECT_THAT(compared.error().message, HasSubstr("broken_bench/model.safetensors: " + finite));
}

TEST(Bench, refuses_what_cannot_be_measured) {
  const EngineOptions engine = bench_model("tiny-a");
  BenchOptions options = small();
  options.repeat = 1;
  EXPECT_THAT(error_of(engine, options, ErrorCode::kUsage), HasSubstr("repeat: expected 2 to 1000 rounds, got 1"));
  EXPECT_THAT(error_of(engine, small(1009), ErrorCode::kUsage), HasSubstr("context: expected 1 to 1008 tokens"));
  options = small(8), options.prompt_ids = {2, 512};
  EXPECT_THAT(error_of(engine, options, ErrorCode::kUsage), HasSubstr("ids from 0 to 511, got 512"));
  options.prompt_ids = std::vector<int32_t>(9, 2);
  EXPECT_THAT(error_of(engine, options, ErrorCode::kUsage), HasSubstr("at most the context's 8 tokens, got 9"));
  options = small(), options.sampler.t_max = -1;
  EXPECT_THAT(error_of(engine, options, ErrorCode::kInvalidRequest), HasSubstr("t_max"));
  options = small(), options.read_buffer_bytes = uint64_t{1} << 40;
  EXPECT_THAT(error_of(engine, options, ErrorCode::kOutOfMemory), HasSubstr("1.00 TiB of memory"));
  options = small(), options.rate_seconds = 0;
  EXPECT_THAT(error_of(engine, options, ErrorCode::kUsage), HasSubstr("rate_seconds: expected above 0"));
  EngineOptions other = engine;
  other.kernels = "quantum";
  EXPECT_THAT(error_of(other, small(), ErrorCode::kUnsupported), HasSubstr("scalar"));
  other = engine, other.model_path = "/nonexistent";
  EXPECT_THAT(error_of(other, small(), ErrorCode::kNotFound), HasSubstr("/nonexistent"));
}

}  // namespace
}  // namespace dgemma
