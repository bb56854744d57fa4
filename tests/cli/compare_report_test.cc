// What dgemma compare prints (src/cli/compare_report.h): the JSON fields are a contract.
#include "cli/compare_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dgemma::cli {
namespace {

using ::testing::HasSubstr;

CompareReport some_comparison() {
  CompareReport r;
  r.a = {"a.gguf", "avx512", "f32", 100}, r.b = {"b.gguf", "avx2", "int8", 50};
  r.prompts = 2, r.rows = 4;
  r.summary = {0.25, 0.125, 0.5, 0.5, 0.75};
  r.steps = {{0, 0, 0.8, {0.5, 0.25}, {0.375, 0.25, 0.5, 0.5, 0.5}}, {1, 0, 0.8, {0, 0.25}, {0.125, 0, 0.25, 0.25, 1}}};
  r.worst = {{0, 0, 1, 0.5, 7, 9, 0.25, 0.75, "cat", "\x1b[2J\n\u2581\xff"}};
  return r;
}

TEST(CompareReport, has_every_row_as_json) {
  const Json j = compare_json(some_comparison());
  EXPECT_EQ(j["a"]["path"], "a.gguf");
  EXPECT_EQ(j["b"]["compute"], "int8");
  EXPECT_EQ(j["rows"], 4);
  EXPECT_EQ(j["kl"], Json({{"mean", 0.25}, {"median", 0.125}, {"p99", 0.5}, {"max", 0.5}}));
  EXPECT_EQ(j["argmax_agreement"], 0.75);
  EXPECT_EQ(j["steps"][0]["kl"], Json({0.5, 0.25}));
  EXPECT_EQ(j["steps"][1]["prompt"], 1);
  EXPECT_EQ(j["worst"][0]["best_b"], 9);
  EXPECT_EQ(j["worst"][0]["text_a"], "cat");
}

TEST(CompareReport, the_tables_count_from_one_and_show_no_control_characters) {
  const std::string text = compare_text(some_comparison());
  for (const char* part : {"A  a.gguf, kernels avx512, compute f32", "2 prompts, 2 steps, 4 rows",
                           "mean 0.25, median 0.12, 99 % below 0.5, largest 0.5 nats", "best token agrees  75.0 %",
                           "  1           2     0.25         0.5             75.0 %\n", "'cat' 0.250, ",
                           "'\u241B[2J\u240A\u2581\uFFFD' 0.750\n"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_EQ(text.find('\x1b'), text.npos);
}

}  // namespace
}  // namespace dgemma::cli
