// weighted_sum_packed* and what prepares its probabilities: every table but amx (folded_sum_test.cc) against the
// transposes and products that it is made of, which packed_test.cc checks, and against double.
#include <algorithm>

#include "kernels/summing_testing.h"

namespace dgemma::kernels::testing {
namespace {

std::vector<std::string> exact_names() {
  std::vector<std::string> names;
  for (const KernelTable* t : exact_tables()) names.push_back(t->name);
  return names;
}

using WeightedSum = EachTable;
INSTANTIATE_TEST_SUITE_P(Tables, WeightedSum, ::testing::ValuesIn(exact_names()), table_name);

/// What table.h says: 64 columns of 64 rows at a time, transposed and multiplied.
PageEnd<float> transposed_and_multiplied(const SumCase& c, const KernelTable& t, const PageEnd<float>& prepared,
                                         bool scaled) {
  PageEnd<float> out = c.c;
  const std::vector<float> ones(kLanes, 1.0f);
  const size_t superblock = tensor::info(c.type).block_bytes, stride = tensor::kSuperblockBytes8;
  std::vector<uint8_t> turned(4 * stride);
  for (size_t column = 0; column < c.s.n; column += kSuperblock)
    for (size_t row = 0; row < c.s.v; row += kSuperblock) {
      const size_t rows = std::min(kSuperblock, c.s.v - row);
      (c.four() ? t.transpose_packed4 : t.transpose_packed8)(
          c.w.data() + row / kPanelRows * c.panel_stride + column / kSuperblock * superblock, c.panel_stride,
          tensor::panels_for(rows), c.row_scale.data() + row, turned.data(), stride);
      for (size_t b = 0; b < c.s.blocks; ++b)
        t.product_packed8(turned.data(), stride,
                          prepared.data() + b * c.p_stride + tensor::quantised_features(row) * kLanes, 0,
                          out.data() + b * c.c_stride + column * kLanes, 0,
                          row == 0 && scaled ? c.scale.data() + b * kLanes : ones.data(), kLanes,
                          std::min(kSuperblock, c.s.n - column), rows);
    }
  return out;
}

TEST_P(WeightedSum, is_made_of_transposes_and_products_on_odd_sizes_at_page_ends) {
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const SumShape& shape : sum_shapes())
      for (const bool scaled : {false, true}) {
        const SumCase c(type, shape);
        const PageEnd<float> prepared = c.prepared(table().quantise_probabilities);
        ASSERT_TRUE(
            same_bits(c.sum(table(), prepared, scaled), transposed_and_multiplied(c, table(), prepared, scaled)))
            << shape.blocks << " " << shape.n << " " << shape.v;
      }
}

TEST_P(WeightedSum, probabilities_times_row_scales_are_quantised_like_activations) {
  for (const size_t v : {1, 5, 32, 33, 64, 100, 300}) {
    const SumCase c(DType::kPacked8, {1, 1, v});
    PageEnd<float> scaled = c.p, want(tensor::quantised_features(v) * kLanes);
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= c.row_scale[i / kLanes];
    choose("scalar").value()->quantise(scaled.data(), v, want.data());
    ASSERT_TRUE(same_bits(c.prepared(table().quantise_probabilities), want)) << v;
  }
}

TEST_P(WeightedSum, rescaled_probabilities_have_the_same_bits_everywhere_and_give_rescaled_sums) {
  for (const size_t v : {1, 64, 65, 300}) {
    const SumCase c(DType::kPacked8, {1, 20, v});
    PageEnd<float> factor(kLanes), got = c.prepared(table().quantise_probabilities), want = got;
    Values(3).fill(factor);
    table().rescale_probabilities(got.data(), factor.data(), v);
    choose("scalar").value()->rescale_probabilities(want.data(), factor.data(), v);
    ASSERT_TRUE(same_bits(got, want)) << v;
    SumCase zero = c;
    std::fill(zero.c.begin(), zero.c.end(), 0.0f);
    const PageEnd<float> before = zero.sum(table(), c.prepared(table().quantise_probabilities), false),
                         after = zero.sum(table(), got, false);
    const float largest = std::fabs(
        *std::max_element(before.begin(), before.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
    for (size_t i = 0; i < after.size(); ++i)
      ASSERT_NEAR(after[i], before[i] * factor[i % kLanes], 1e-5 * largest) << i;
  }
}

TEST_P(WeightedSum, is_within_two_percent) {
  for (const DType type : {DType::kPacked4, DType::kPacked8}) {
    const SumCase c(type, {2, 130, 600});
    EXPECT_LT(c.error_of(c.sum(table(), c.prepared(table().quantise_probabilities), false)), 0.02);
  }
}

}  // namespace
}  // namespace dgemma::kernels::testing
