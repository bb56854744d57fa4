// What dgemma bench prints (src/cli/bench_report.h): the JSON fields are a contract.
#include "cli/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/text_columns.h"

namespace dgemma::cli {
namespace {

using ::testing::HasSubstr;

BenchReport some_bench() {
  BenchReport r;
  r.model_path = "model.gguf", r.parameters = 25'200'000'000, r.canvas_length = 256;
  r.cpu = "A CPU", r.threads = 2, r.kernels = "avx512", r.compute = "f32";
  r.weight_bytes = 14.2e9, r.read_bytes_per_s = 33e9, r.f32_ops_per_s = 450e9;
  r.load_s = 0.5;
  r.prefill = {{512, 2, 256, 1}};
  BenchStep step;
  step.context = 512, step.seconds = 1, step.best_s = 0.9;
  step.parts = {0.1, 0.1, 0.1, 0.5, 0.1, 0.1};
  step.work.bytes = {1e6, 2e6, 3e6, 12.9e9, 4e8, 1e3};
  step.work.operations = {1e9, 2e9, 3e9, 731e9, 378e9, 1e6};
  step.work.limit_s = {0.05, 0.05, 0.05, 0.25, 0.1, 0.01};
  step.experts_touched = {128, 127.5, 126, 128, 127.99};
  r.steps = {step};
  r.commit_s = 0.8;
  r.decode = {16, 10, 2e9, 14};
  r.break_even_steps = 24.8, r.steps_per_canvas = 48, r.tokens_per_s = 5.2;
  r.diffusion = {{8, 29.1}, {16, 15.2}, {48, 5.2}};
  r.peak_rss_bytes = 15'000'000'000;
  r.rounds = 3;
  r.check = {"avx2", "f32", 16, 1e-9, 1e-8, 1e-3, 1};
  return r;
}

TEST(BenchReport, has_the_fields_that_scripts_rely_on) {
  const Json j = bench_json(some_bench());
  EXPECT_EQ(j["machine"], Json({{"cpu", "A CPU"}, {"cores", 2}, {"kernels", "avx512"}, {"compute", "f32"}}));
  EXPECT_EQ(j["weight_bytes"], 14.2e9);
  EXPECT_EQ(j["read_bytes_per_s"], 33e9);
  EXPECT_TRUE(j["peak"]["int8_ops_per_s"].is_null());
  EXPECT_TRUE(j["peak"]["bf16_ops_per_s"].is_null());
  EXPECT_EQ(j["load_s"], 0.5);
  EXPECT_EQ(j["prefill"][0]["tokens"], 512);
  EXPECT_EQ(j["prefill"][0]["tokens_per_s"], 256);
  EXPECT_EQ(j["step_s"], 1);
  EXPECT_EQ(j["steps"][0]["context"], 512);
  EXPECT_EQ(j["steps"][0]["seconds"], 1);
  for (const char* part : {"attention", "projections", "dense", "experts", "vocabulary", "rest"})
    EXPECT_TRUE(j["steps"][0]["parts"][part].is_number()) << part;
  EXPECT_EQ(j["steps"][0]["percent_of_limit"]["experts"], 50);
  EXPECT_EQ(j["routing"], "model");
  EXPECT_EQ(j["steps"][0]["experts_touched"], Json({{"experts", 128},
                                                    {"mean", 127.5},
                                                    {"least", 126},
                                                    {"most", 128},
                                                    {"independent", 127.99},
                                                    {"collapsed", false}}));
  EXPECT_EQ(j["autoregressive"]["tokens_per_s"], 10);
  EXPECT_EQ(j["diffusion"]["steps_per_canvas"], 48);
  EXPECT_EQ(j["diffusion"]["tokens_per_s"], 5.2);
  EXPECT_EQ(j["diffusion"]["speeds"][0], Json({{"steps_per_canvas", 8}, {"tokens_per_s", 29.1}}));
  EXPECT_EQ(j["break_even_steps"], 24.8);
  EXPECT_EQ(j["peak_rss_bytes"], 15'000'000'000);
}

TEST(BenchReport, peaks_of_integers_appear_where_there_are_any) {
  BenchReport r = some_bench();
  r.int8_ops_per_s = 1.6e12;
  EXPECT_EQ(bench_json(r)["peak"]["int8_ops_per_s"], 1.6e12);
  EXPECT_THAT(bench_text(r), HasSubstr("450 GFLOP/s f32, 1.60 TOP/s int8"));
}

TEST(BenchReport, where_diffusion_is_never_faster_there_is_no_break_even) {
  BenchReport r = some_bench();
  for (const double steps : {0.0, -3.5}) {
    r.break_even_steps = steps;
    EXPECT_TRUE(bench_json(r)["break_even_steps"].is_null());
    EXPECT_THAT(bench_text(r), HasSubstr("break even      none: "));
  }
}

TEST(BenchReport, the_table_has_units_and_never_a_speed_without_steps) {
  const std::string text = bench_text(some_bench());
  for (const char* part :
       {"memory read     33.0 GB/s", "512 tokens in 2.00 s, 256 tokens/s, 50 % of the limit",
        "experts      500 ms   50 %  12.9 GB   731 GOP  250 ms     50 %", "canvas          256 tokens, commit 800 ms",
        "diffusion       29.1 tokens/s at 8 steps per canvas, 15.2 at 16, 5.20 at 48 (the most)\n",
        "autoregressive  10.0 tokens/s, limit 14.0", "24.8 steps per canvas", "3, the same bits in each",
        "mean KL 1e-09 nats"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(BenchReport, says_so_where_a_router_sends_all_rows_to_few_experts) {
  BenchReport r = some_bench();
  EXPECT_THAT(bench_text(r), HasSubstr("\n  experts touched 128 of 128 in a layer (126 to 128), routing model\n"));
  EXPECT_THAT(bench_text(r), testing::Not(HasSubstr("few experts")));
  r.steps[0].experts_touched = {128, 9.25, 8, 12, 127.99};
  EXPECT_THAT(bench_text(r),
              HasSubstr("experts touched 9.25 of 128 in a layer (8 to 12), routing model\n"
                        "  note            this file's router sends all rows to few experts, a trained one's "
                        "spreads them: --routing even does so\n"));
  EXPECT_EQ(bench_json(r)["steps"][0]["experts_touched"]["collapsed"], true);
  r.routing = BenchRouting::kEven;
  EXPECT_THAT(bench_text(r), testing::Not(HasSubstr("few experts")));
  EXPECT_EQ(bench_json(r)["routing"], "even");
}

TEST(DecimalText, has_three_digits_and_a_prefix) {
  EXPECT_EQ(decimal_text(0, "B"), "0 B");
  EXPECT_EQ(decimal_text(999, "B"), "999 B");
  EXPECT_EQ(decimal_text(999.6, "B"), "1.00 kB");
  EXPECT_EQ(decimal_text(14.23e9, "B"), "14.2 GB");
  EXPECT_EQ(decimal_text(4e15, "OP"), "4.00 POP");
}

TEST(TextColumns, numbers_stand_to_the_right_and_names_to_the_left) {
  EXPECT_EQ(text_columns({{"a", "1", "22"}, {"bbb", "333", "4"}}), "  a      1  22\n  bbb  333   4\n");
  EXPECT_EQ(text_columns({{"a", "x"}, {"b", "yyy"}}, true), "  a  x\n  b  yyy\n");
}

}  // namespace
}  // namespace dgemma::cli
