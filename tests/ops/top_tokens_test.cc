// The most probable tokens of rows, against all logits sorted.
#include "ops/top_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/random.h"
#include "ops/vocabulary.h"

namespace dgemma::ops {
namespace {

constexpr size_t kFeatures = 24;

/// A table in which each row of weights occurs twice, so that there are equal logits.
std::vector<float> table_of(size_t vocab) {
  std::vector<float> table = random_values(vocab * kFeatures, 1, 0.6f);
  for (size_t v = 0; v + 1 < vocab; v += 2)
    std::copy_n(table.begin() + static_cast<std::ptrdiff_t>((vocab - 1 - v) * kFeatures), kFeatures,
                table.begin() + static_cast<std::ptrdiff_t>(v * kFeatures));
  return table;
}

struct TopTokensRun {
  std::vector<RowPrediction> predictions;
  std::vector<TopToken> top;  // [B * 16, kMostTopTokens]
  const TopToken* row(size_t r) const { return top.data() + r * kMostTopTokens; }
};
/// `top`: by block.
TopTokensRun run_pass(const tensor::Weight& table, const std::vector<float>& h, size_t rows,
                      const std::vector<uint8_t>& top, int threads) {
  const size_t blocks = tensor::blocks_for(rows);
  const auto hidden = to_blocks(h, rows, kFeatures);
  const std::vector<float> inverse(blocks, 1.5f);
  const std::vector<uint8_t> no_soft(blocks, 0);
  const std::vector<double> uniform(blocks * 16, 0.5);
  TopTokensRun run{std::vector<RowPrediction>(blocks * 16), std::vector<TopToken>(blocks * 16 * kMostTopTokens)};
  VocabularyWorkspace space;
  Exec exec(best_table(), threads);
  EXPECT_TRUE(vocabulary_pass(exec, {table, table, 30.0f, 1.0f},
                              {hidden.view(), inverse, uniform, no_soft, run.predictions, {}, top, run.top}, space));
  return run;
}

/// Log-probabilities of one row in double, by id.
std::vector<double> logprobs(const std::vector<float>& table, const float* h) {
  std::vector<double> z(table.size() / kFeatures, 0.0);
  double sum = 0;
  for (size_t v = 0; v < z.size(); ++v) {
    for (size_t d = 0; d < kFeatures; ++d) z[v] += double{table[v * kFeatures + d]} * h[d];
    z[v] = 30 * std::tanh(z[v] / 30) * 1.5;
    sum += std::exp(z[v]);
  }
  for (double& x : z) x -= std::log(sum);
  return z;
}

TEST(TopTokens, are_those_of_all_logits_sorted) {
  for (const size_t vocab : {size_t{21}, size_t{777}, size_t{2050}}) {
    const size_t rows = 37;
    const auto table = table_of(vocab), h = random_values(rows * kFeatures, 2);
    const TopTokensRun run = run_pass(weight(table, vocab, kFeatures), h, rows, {20, 20, 20}, 2);
    for (size_t r = 0; r < rows; ++r) {
      const auto all = logprobs(table, h.data() + r * kFeatures);
      std::vector<double> sorted = all;
      std::sort(sorted.rbegin(), sorted.rend());
      const TopToken* top = run.row(r);
      EXPECT_EQ(top[0].id, run.predictions[r].best);
      EXPECT_FLOAT_EQ(top[0].logprob, run.predictions[r].best_logprob);
      for (size_t i = 0; i < 20; ++i) {
        EXPECT_NEAR(top[i].logprob, sorted[i], 1e-4) << vocab << " row " << r << " place " << i;
        EXPECT_NEAR(top[i].logprob, all[static_cast<size_t>(top[i].id)], 1e-4);
        if (i > 0) {
          EXPECT_TRUE(top[i - 1].logprob > top[i].logprob ||
                      (top[i - 1].logprob == top[i].logprob && top[i - 1].id < top[i].id));
        }
      }
    }
  }
}

TEST(TopTokens, are_the_lowest_ids_where_all_are_equal) {
  const std::vector<float> table(900 * kFeatures, 0.0f);
  const TopTokensRun run = run_pass(weight(table, 900, kFeatures), random_values(kFeatures, 3), 1, {7}, 2);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(run.row(0)[i].id, i);
  EXPECT_EQ(run.row(0)[7].id, -1) << "no more than were asked for";
}

TEST(TopTokens, do_not_depend_on_threads_neighbours_or_how_many_are_asked_for) {
  const size_t vocab = 1500;
  const auto table = table_of(vocab), h = random_values(80 * kFeatures, 2);
  const TopTokensRun all = run_pass(weight(table, vocab, kFeatures), h, 80, {20, 0, 3, 20, 1}, 3);
  const TopTokensRun few = run_pass(weight(table, vocab, kFeatures), h, 5, {5}, 1);
  const TopTokensRun none = run_pass(weight(table, vocab, kFeatures), h, 80, {}, 2);
  for (size_t r = 0; r < 5; ++r)
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(all.row(r)[i].id, few.row(r)[i].id);
      EXPECT_EQ(all.row(r)[i].logprob, few.row(r)[i].logprob);
    }
  EXPECT_EQ(all.row(16)[0].id, -1) << "rows that nobody asked for get none";
  EXPECT_EQ(all.row(32)[2].id >= 0, true);
  EXPECT_EQ(all.row(32)[3].id, -1);
  for (size_t r = 0; r < 80; ++r) {
    EXPECT_EQ(all.predictions[r].best, none.predictions[r].best);
    EXPECT_EQ(all.predictions[r].sample, none.predictions[r].sample);
    EXPECT_EQ(all.predictions[r].entropy, none.predictions[r].entropy);
  }
}

}  // namespace
}  // namespace dgemma::ops
