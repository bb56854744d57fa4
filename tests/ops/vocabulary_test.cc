#include "ops/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/random.h"

namespace dgemma::ops {
namespace {

struct Sizes {
  size_t vocab, rows, features;
  float scale;  // of the table: larger means sharper distributions
  float temperature;
};

class Vocabulary : public testing::TestWithParam<Sizes> {};

TEST_P(Vocabulary, equals_a_direct_softmax_in_double) {
  const Sizes s = GetParam();
  const auto table = random_values(s.vocab * s.features, 1, s.scale), h = random_values(s.rows * s.features, 2);
  const auto hidden = to_blocks(h, s.rows, s.features);
  const size_t blocks = tensor::blocks_for(s.rows);
  const VocabularyWeights w{weight(table, s.vocab, s.features), weight(table, s.vocab, s.features), 30.0f, 2.0f};
  std::vector<double> uniform(blocks * 16);
  for (size_t i = 0; i < uniform.size(); ++i) uniform[i] = double(i * 2654435761u % 1000) / 1000;
  uniform[0] = 0.0;
  uniform[1] = 1.0 - 0x1p-53;
  const std::vector<float> inverse(blocks, 1 / s.temperature);
  const std::vector<uint8_t> want(blocks, 1);
  std::vector<RowPrediction> p(blocks * 16);
  const tensor::BlockMatrix soft(s.rows, s.features);
  VocabularyWorkspace space;
  Exec exec(best_table(), 2);
  ASSERT_TRUE(vocabulary_pass(exec, w, {hidden.view(), inverse, uniform, want, p, soft.view()}, space));

  // A capped logit is within 5 ulp (kernels' softcap); at low temperature that moves every probability.
  const double moved = 5 * 0x1p-24 * 30 / s.temperature;
  const double soft_bound = std::max(2e-4, 2 * 2 * moved * s.scale);
  for (size_t r = 0; r < s.rows; ++r) {
    std::vector<double> z(s.vocab);
    for (size_t v = 0; v < s.vocab; ++v) {
      for (size_t d = 0; d < s.features; ++d) z[v] += double{table[v * s.features + d]} * h[r * s.features + d];
      z[v] = 30 * std::tanh(z[v] / 30) / s.temperature;
    }
    const double max = *std::max_element(z.begin(), z.end());
    double sum = 0, entropy = 0, before = 0;
    for (const double v : z) sum += std::exp(v - max);
    std::vector<double> expected_soft(s.features, 0.0);
    for (size_t v = 0; v < s.vocab; ++v) {
      const double q = std::exp(z[v] - max) / sum;
      entropy -= q > 0 ? q * std::log(q) : 0;
      for (size_t d = 0; d < s.features; ++d) expected_soft[d] += 2 * q * table[v * s.features + d];
    }
    EXPECT_EQ(z[static_cast<size_t>(p[r].best)], max);
    EXPECT_NEAR(p[r].entropy, entropy, 1e-4);
    EXPECT_NEAR(p[r].best_logprob, -std::log(sum), 1e-4);
    for (size_t d = 0; d < s.features; ++d) EXPECT_NEAR(soft.view().at(r, d), expected_soft[d], soft_bound);
    // The drawn token's interval of the cumulative distribution holds u, up to what rounding can move its ends.
    const auto drawn = static_cast<size_t>(p[r].sample);
    ASSERT_LT(drawn, s.vocab);
    for (size_t v = 0; v < drawn; ++v) before += std::exp(z[v] - max) / sum;
    EXPECT_LE(before, uniform[r] + 1e-4) << r;
    EXPECT_GE(before + std::exp(z[drawn] - max) / sum, uniform[r] - 1e-4) << r;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Vocabulary,
                         testing::Values(Sizes{512, 16, 64, 0.6f, 0.8f}, Sizes{1000, 24, 96, 0.5f, 0.4f},
                                         Sizes{63, 1, 8, 0.1f, 1.0f}, Sizes{2049, 70, 32, 2.0f, 0.05f},
                                         Sizes{7, 3, 4, 1.0f, 0.6f}));

/// One block of rows through a table, everything the same for all rows.
struct VocabularyRun {
  std::vector<RowPrediction> predictions;
  tensor::BlockMatrix soft;
  bool finite = false;
};
VocabularyRun run_pass(const std::vector<float>& table, size_t vocab, const std::vector<float>& h, size_t rows,
                       size_t features, double u, int threads) {
  const auto hidden = to_blocks(h, rows, features);
  const size_t blocks = tensor::blocks_for(rows);
  const VocabularyWeights w{weight(table, vocab, features), weight(table, vocab, features), 30.0f, 1.0f};
  VocabularyRun run{std::vector<RowPrediction>(blocks * 16), tensor::BlockMatrix(rows, features)};
  const std::vector<float> inverse(blocks, 1.5f);
  const std::vector<uint8_t> want(blocks, 1);
  const std::vector<double> uniform(blocks * 16, u);
  VocabularyWorkspace space;
  Exec exec(best_table(), threads);
  run.finite =
      vocabulary_pass(exec, w, {hidden.view(), inverse, uniform, want, run.predictions, run.soft.view()}, space);
  return run;
}

TEST(VocabularyPass, gives_the_lowest_of_equal_tokens_and_a_uniform_sample) {
  const VocabularyRun r = run_pass(std::vector<float>(300 * 4, 0.0f), 300, random_values(4, 1), 1, 4, 0.5, 1);
  EXPECT_EQ(r.predictions[0].best, 0);
  EXPECT_EQ(r.predictions[0].sample, 150);
  EXPECT_NEAR(r.predictions[0].entropy, std::log(300.0), 1e-5);
}

TEST(VocabularyPass, near_certainty_the_entropy_has_the_rounding_of_the_references_normaliser) {
  // Logits 30 and 22 after the softcap, times 1.5: 45, where float32 has steps of 3.8e-6, and 33.
  const VocabularyRun r = run_pass({1e6f, 30 * std::atanh(22 / 30.0f)}, 2, {1}, 1, 1, 0.5, 1);
  const double p = std::exp(-12.0) / (1 + std::exp(-12.0)), log_sum = std::log1p(std::exp(-12.0));
  const double exact = log_sum + 12 * p, rounding = double{45 + static_cast<float>(log_sum)} - 45 - log_sum;
  ASSERT_GT(rounding, 1e-6);
  EXPECT_NEAR(r.predictions[0].entropy, exact + rounding, 3e-7);
}

TEST(VocabularyPass, near_certainty_the_sum_of_the_normaliser_is_a_float32_too) {
  // 45 and, 1.93e-6 times as probable, 31.842. Of log(1 + 1.93e-6) the steps of 3.8e-6 at 45 would take one, of the
  // logarithm of the nearest float32, 1 + 16 * 2^-23, none.
  const double odds = 1.93e-6, gap = -std::log(odds);
  std::vector<float> table(200, -1e6f);
  table[0] = 1e6f;
  table[150] = 30 * std::atanh(static_cast<float>((45 - gap) / 45));  // in another tile
  const VocabularyRun r = run_pass(table, table.size(), {1}, 1, 1, 0.5, 1);
  EXPECT_EQ(45 + static_cast<float>(std::log1p(odds)), 45.000004f);
  EXPECT_NEAR(r.predictions[0].entropy, gap * odds, 3e-7);
}

TEST(VocabularyPass, threads_and_neighbours_do_not_change_a_row) {
  const auto table = random_values(777 * 40, 1, 0.5f), h = random_values(80 * 40, 2);
  const VocabularyRun b = run_pass(table, 777, h, 5, 40, 0.3, 1);
  for (const int threads : {1, 3, 17}) {  // blocks walk the table four together, and with 17 threads each alone
    const VocabularyRun a = run_pass(table, 777, h, 80, 40, 0.3, threads);
    for (size_t r = 0; r < 5; ++r) {
      EXPECT_EQ(a.predictions[r].sample, b.predictions[r].sample);
      EXPECT_EQ(a.predictions[r].entropy, b.predictions[r].entropy);
      for (size_t i = 0; i < 40; ++i) EXPECT_EQ(a.soft.view().at(r, i), b.soft.view().at(r, i));
    }
  }
}

TEST(VocabularyPass, says_when_numbers_are_not_finite) {
  std::vector<float> table(100 * 4, 1.0f);
  table[77] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(run_pass(table, 100, {1, 1, 1, 1}, 1, 4, 0.5, 1).finite);
}

}  // namespace
}  // namespace dgemma::ops
