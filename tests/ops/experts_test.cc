#include "ops/experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "ops/random.h"
#include "ops/rows.h"

namespace dgemma::ops {
namespace {

using testing::ElementsAre;

TEST(ChooseExperts, takes_the_largest_and_the_lower_index_of_equal_ones) {
  const auto scores = to_blocks({0, 2, 2, 1, /**/ 5, 5, 5, 5}, 2, 4);
  const float scale[] = {1, 1, 1, 10};
  Assignment a;
  Exec exec(best_table(), 2);
  choose_experts(exec, scores.view(), std::vector<uint32_t>{0, 1}, scale, 2, a);
  std::vector<uint32_t> chosen;
  for (const auto& e : a.entries) chosen.push_back(e.expert);
  EXPECT_THAT(chosen, ElementsAre(1, 2, 0, 1));
  EXPECT_FLOAT_EQ(a.entries[0].weight, 0.5f);
}

TEST(ChooseExperts, weights_sum_to_one_before_the_experts_own_scale) {
  const auto scores = to_blocks({0.3f, -1.0f, 2.0f, 0.5f}, 1, 4);
  const float scale[] = {1, 1, 2, 1};
  Assignment a;
  Exec exec(best_table(), 2);
  choose_experts(exec, scores.view(), std::vector<uint32_t>{0}, scale, 3, a);
  ASSERT_EQ(a.entries.size(), 3u);
  EXPECT_NEAR(a.entries[0].weight + a.entries[1].weight / 2 + a.entries[2].weight, 1.0, 1e-6);
}

TEST(Experts, equals_each_rows_experts_computed_alone) {
  const size_t rows = 40, d = 24, width = 20, count = 5, used = 2;
  const auto x = random_values(rows * d, 1), gate_up = random_values(count * 2 * width * d, 2, 0.3f);
  const auto down = random_values(count * d * width, 3, 0.3f), score = random_values(rows * count, 4);
  const std::vector<float> scale = {1.0f, 0.5f, 2.0f, 1.5f, 0.7f};
  const tensor::Weight joined = weight(gate_up, count * 2 * width, d);
  const ExpertWeights w{
      joined, joined.row_range(width, joined.rows - width), 2 * width, weight(down, count * d, width), d, count, width,
      used};
  std::vector<uint32_t> valid;
  for (uint32_t r = 0; r < rows; ++r)
    if (r < 19 || r >= 32) valid.push_back(r);  // the second block's end is padding, as between two groups
  const auto in = to_blocks(x, rows, d), scores = to_blocks(score, rows, count);
  const tensor::BlockMatrix out(rows, d);
  Assignment a;
  Exec exec(best_table(), 2);
  choose_and_sum(exec, w, in.view(), scores.view(), valid, scale.data(), a, out.view());
  for (size_t i = 0; i < valid.size(); ++i) {
    const size_t r = valid[i];
    std::vector<double> expected(d, 0.0);
    for (size_t t = 0; t < used; ++t) {
      const auto [expert, mix] = a.entries[i * used + t];
      std::vector<double> h(width);
      for (size_t j = 0; j < width; ++j) {
        double g = 0, u = 0;
        for (size_t k = 0; k < d; ++k) {
          g += double{gate_up[(expert * 2 * width + j) * d + k]} * x[r * d + k];
          u += double{gate_up[(expert * 2 * width + width + j) * d + k]} * x[r * d + k];
        }
        h[j] = 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g))) * u;
      }
      for (size_t k = 0; k < d; ++k)
        for (size_t j = 0; j < width; ++j) expected[k] += double{mix} * down[(expert * d + k) * width + j] * h[j];
    }
    for (size_t k = 0; k < d; ++k) ASSERT_NEAR(out.view().at(r, k), expected[k], 3e-5) << r;
  }
  EXPECT_EQ(out.view().at(25, 0), 0.0f) << "rows that are not listed stay zero";
}

}  // namespace
}  // namespace dgemma::ops
