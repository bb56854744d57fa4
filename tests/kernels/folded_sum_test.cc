// weighted_sum_packed* of the tables that fold weights (amx): bit for bit against the folded reference of scalar_int8.h
// on odd sizes and at page ends; and the reference against sums in double. Everywhere with tiles emulated, for real
// where there is AMX.
#include <algorithm>

#include "kernels/amx_emulated.h"
#include "kernels/amx_machine.h"
#include "kernels/scalar_int8.h"
#include "kernels/summing_testing.h"

namespace dgemma::kernels::testing {
namespace {

using FoldedSum = OnTiles;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FoldedSum);
INSTANTIATE_TEST_SUITE_P(Tables, FoldedSum, ::testing::ValuesIn(tiles_tables(amx_emulated_table, "amx")), tiles_name);

SumCase::Sum reference_of(const SumCase& c) {
  return c.four() ? weighted_sum_folded_exactly<4> : weighted_sum_folded_exactly<8>;
}

void expect_the_reference(const SumCase& c, const KernelTable& t, bool scaled) {
  const PageEnd<float> prepared = c.prepared(quantise_probabilities_by_run);
  const PageEnd<float> got = c.sum(t, prepared, scaled), want = c.sum(reference_of(c), prepared, scaled);
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
        << "block " << i / c.c_stride << " column " << i % c.c_stride / kLanes << " of " << c.s.blocks << " blocks, "
        << c.s.n << " columns, " << c.s.v << " rows";
}

TEST_P(FoldedSum, is_the_reference_bit_for_bit_on_odd_sizes_at_page_ends) {
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const SumShape& shape : sum_shapes())
      for (const bool scaled : {false, true}) expect_the_reference(SumCase(type, shape), table(), scaled);
}

TEST_P(FoldedSum, is_the_reference_for_more_rows_than_one_span) {
  for (const size_t v : {4096, 4097, 4500}) expect_the_reference(SumCase(DType::kPacked8, {2, 65, v}), table(), true);
}

TEST_P(FoldedSum, every_code_and_scale_is_the_references) {
  for (const DType type : {DType::kPacked4, DType::kPacked8}) {
    SumCase c(type, {1, 300, 512});
    Values values(11);
    for (uint8_t& byte : c.w) byte = static_cast<uint8_t>(values.bits() >> 13);  // scales too: all kinds of f16
    const KernelTable& scalar = *choose("scalar").value();
    (c.four() ? scalar.row_scales4 : scalar.row_scales8)(c.w.data(), c.panel_stride, tensor::panels_for(c.s.v), c.s.n,
                                                         c.row_scale.data());
    expect_the_reference(c, table(), false);
  }
}

TEST_P(FoldedSum, largest_codes_and_probabilities_do_not_overflow) {
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const int code : {0, 255}) {
      SumCase c(type, {1, 16, 256});
      const size_t superblock = tensor::info(type).block_bytes;
      for (size_t i = 0; i < c.w.size(); ++i)
        if (i % superblock >= tensor::kScaleBytes) c.w[i] = static_cast<uint8_t>(code);
      for (float& p : c.p) p = 1;
      for (size_t i = 0; i < c.s.v; ++i) c.p[i * kLanes] /= c.row_scale[i] > 0 ? c.row_scale[i] : 1;
      expect_the_reference(c, table(), false);
    }
}

TEST_P(FoldedSum, prepared_probabilities_are_the_references) {
  for (const size_t v : {1, 3, 63, 64, 65, 255, 256, 257, 600}) {
    SumCase c(DType::kPacked8, {1, 1, v});
    for (size_t i = 0; i < v; ++i) {
      c.p[i * kLanes] = 0, c.p[i * kLanes + 1] *= 1e-38f, c.p[i * kLanes + 2] *= 1e30f;
    }
    c.p[3] = kInf, c.p[4] = std::numeric_limits<float>::quiet_NaN();
    PageEnd<float> got = c.prepared(table().quantise_probabilities), want = c.prepared(quantise_probabilities_by_run);
    ASSERT_TRUE(same_bits(got, want)) << v;
    PageEnd<float> factor(kLanes);
    Values(3).fill(factor);
    table().rescale_probabilities(got.data(), factor.data(), v);
    for (size_t i = 0; i < got.size(); ++i) {
      const bool is_scale = i / kLanes % kQuantisedRows < 2;
      if (is_scale && i % kLanes != 4)
        ASSERT_EQ(got[i], want[i] * factor[i % kLanes]);
      else
        ASSERT_EQ(std::memcmp(&got[i], &want[i], is_scale ? 0 : sizeof(float)), 0);
    }
  }
}

TEST_P(FoldedSum, a_number_that_is_not_finite_makes_its_token_not_finite_and_no_other) {
  for (const float bad : {kInf, std::numeric_limits<float>::quiet_NaN()}) {
    SumCase c(DType::kPacked8, {2, 70, 300});
    for (float& scale : c.row_scale) scale = std::max(scale, 1e-3f);
    c.p[(300 + 270) * kLanes + 5] = bad;
    const PageEnd<float> got = c.sum(table(), c.prepared(table().quantise_probabilities), false);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(std::isfinite(got[i]), i < c.c_stride || i % kLanes != 5) << i;
  }
}

TEST_P(FoldedSum, a_token_has_the_same_bits_alone_and_among_others) {
  SumCase c(DType::kPacked8, {7, 100, 400});
  const PageEnd<float> prepared = c.prepared(table().quantise_probabilities), all = c.sum(table(), prepared, true);
  for (c.s.blocks = 1; c.s.blocks < 7; ++c.s.blocks) {
    const PageEnd<float> few = c.sum(table(), prepared, true);
    ASSERT_EQ(std::memcmp(few.data(), all.data(), c.s.blocks * c.c_stride * sizeof(float)), 0);
  }
}

// What the exact tables' way, probabilities in steps of a 127th of 32 rows' largest, may be off is the bound here, too.
TEST(FoldedSumReference, is_as_near_as_the_exact_tables) {
  const KernelTable& scalar = *choose("scalar").value();
  for (const DType type : {DType::kPacked4, DType::kPacked8}) {
    const SumCase c(type, {2, 130, 600});
    const double folded = c.error_of(c.sum(reference_of(c), c.prepared(quantise_probabilities_by_run), false));
    const double exact = c.error_of(c.sum(scalar, c.prepared(scalar.quantise_probabilities), false));
    EXPECT_LT(folded, 1.25 * exact) << exact;
  }
}

}  // namespace
}  // namespace dgemma::kernels::testing
