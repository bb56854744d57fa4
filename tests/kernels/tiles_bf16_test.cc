// The products in bf16 on tiles (amxbf16) against the instruction's sums written out here, on odd sizes and at page
// ends: bit for bit with the tiles emulated, within the sums' roundings on a processor with AMX, whose order of adding
// is known from its manual only. And against double.
#include <algorithm>

#include "kernels/amx_emulated.h"
#include "kernels/amx_machine.h"
#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"
#include "kernels/rows_testing.h"

namespace dgemma::kernels::testing {
namespace {

struct TileShape {
  size_t blocks, n, k;      // k: even
  size_t ld_extra = 0;      // values (even) between one row of w and the next
  size_t stride_extra = 0;  // rows of 16 between blocks
};

float flushed(float v) { return std::fabs(v) < 0x1p-126f ? std::copysign(0.0f, v) : v; }

struct TileCase {
  TileShape s;
  size_t ldw, x_stride, c_stride;
  PageEnd<uint16_t> w;
  PageEnd<float> x, c;

  explicit TileCase(TileShape shape)
      : s(shape),
        ldw(s.k + s.ld_extra),
        x_stride((s.k / 2 + s.stride_extra) * kLanes),
        c_stride((s.n + s.stride_extra) * kLanes),
        w(s.k == 0 ? 0 : (s.n - 1) * ldw + s.k),
        x(s.k == 0 ? 0 : (s.blocks - 1) * x_stride + s.k / 2 * kLanes),
        c((s.blocks - 1) * c_stride + s.n * kLanes) {
    Values values(static_cast<uint32_t>(s.blocks * 10007 + s.n * 101 + s.k));
    values.fill(w);
    values.fill(c);
    for (float& word : x) {
      const uint16_t pair[2] = {values.next_bf16(), values.next_bf16()};
      std::memcpy(&word, pair, sizeof pair);
    }
  }

  float activation(size_t block, size_t feature, size_t lane) const {
    uint16_t pair[2];
    std::memcpy(pair, &x[block * x_stride + feature / 2 * kLanes + lane], sizeof pair);
    return widened(pair[feature % 2]);
  }

  /// Sum of the products' magnitudes: what roundings are measured by.
  double size(size_t block, size_t row, size_t lane) const {
    double sum = 0;
    for (size_t k = 0; k < s.k; ++k)
      sum += std::fabs(double{widened(w[row * ldw + k])} * double{activation(block, k, lane)});
    return sum;
  }

  float expected(size_t block, size_t row, size_t lane, float sum = 0) const {
    for (size_t first = 0; first < s.k; first += 32) {
      float halves[2] = {};
      for (size_t k = first; k < std::min(first + 32, s.k); ++k)
        halves[k % 2] =
            flushed(std::fma(flushed(widened(w[row * ldw + k])), flushed(activation(block, k, lane)), halves[k % 2]));
      sum = flushed(sum + flushed(halves[0] + halves[1]));
    }
    return sum;
  }

  /// The rows of w are features, its columns the rows that are weighed: the transpose of what weighted_sum_pairs reads.
  std::vector<float> scales() const {
    std::vector<float> scale(s.blocks * kLanes);
    for (size_t i = 0; i < scale.size(); ++i) scale[i] = 0.25f + static_cast<float>(i % 7);
    return scale;
  }

  PageEnd<float> weighted_sum(const KernelTable& t, bool scaled) const {
    const size_t ld = s.n + s.ld_extra;
    PageEnd<uint32_t> words(s.k == 0 ? 0 : (s.k / 2 - 1) * ld + s.n);
    for (size_t i = 0; i < s.k / 2; ++i)
      for (size_t n = 0; n < s.n; ++n) std::memcpy(&words[i * ld + n], &w[n * ldw + 2 * i], sizeof(uint32_t));
    PageEnd<float> got = c;
    const std::vector<float> scale = scales();
    t.weighted_sum_pairs(words.data(), ld, x.data(), x_stride, got.data(), c_stride, scaled ? scale.data() : nullptr,
                         s.blocks, s.n, s.k);
    return got;
  }

  double roundings() const { return 16 + 1 + static_cast<double>(s.k / 32); }

  PageEnd<float> product(const KernelTable& t) const {
    PageEnd<float> got = c;
    t.product_pairs(w.data(), ldw, x.data(), x_stride, got.data(), c_stride, s.blocks, s.n, s.k);
    return got;
  }

  /// start(i): what the sum at i begins with.
  template <class Start>
  void expect(const KernelTable& t, const PageEnd<float>& got, Start start) const {
    const bool processor = t.product_pairs != amxbf16_emulated_table()->product_pairs;
    for (size_t i = 0; i < got.size(); ++i) {
      const size_t row = i % c_stride / kLanes;
      const size_t block = i / c_stride, lane = i % kLanes;
      if (row >= s.n) {
        ASSERT_EQ(got[i], c[i]) << "written between blocks at " << i;
        continue;
      }
      const float first = start(i), want = expected(block, row, lane, first);
      if (processor)
        ASSERT_NEAR(got[i], want, (size(block, row, lane) + std::fabs(first)) * kUnit * roundings() + 0x1p-120)
            << "row " << row << " lane " << lane;
      else
        ASSERT_EQ(got[i], want) << "row " << row << " lane " << lane;
    }
  }

  void check(const KernelTable& t) const {
    SCOPED_TRACE(::testing::Message() << "blocks " << s.blocks << " n " << s.n << " k " << s.k);
    expect(t, product(t), [](size_t) { return 0.0f; });
    const std::vector<float> scale = scales();
    expect(t, weighted_sum(t, true), [&](size_t i) { return c[i] * scale[i / c_stride * kLanes + i % kLanes]; });
    expect(t, weighted_sum(t, false), [&](size_t i) { return c[i]; });
  }
};

using TilesBf16 = OnTiles;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TilesBf16);
INSTANTIATE_TEST_SUITE_P(Tables, TilesBf16, ::testing::ValuesIn(tiles_tables(amxbf16_emulated_table, "amxbf16")),
                         tiles_name);

TEST_P(TilesBf16, products_are_the_instructions_sums_on_odd_sizes_at_page_ends) {
  for (const size_t n : {1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 97, 129})
    TileCase({1 + n % 3, n, 70}).check(table());
  for (const size_t k : {0, 2, 30, 32, 34, 62, 64, 66, 254, 256, 258, 288, 512, 514, 600})
    TileCase({1 + k / 2 % 2, 19, k}).check(table());
  for (const size_t blocks : {1, 2, 3, 5}) TileCase({blocks, 37, 130, 6, 2}).check(table());
}

TEST_P(TilesBf16, numbers_below_the_normal_ones_count_as_zero) {
  TileCase a({1, 17, 64});
  for (size_t i = 0; i < a.w.size(); i += 3) a.w[i] = static_cast<uint16_t>(i % 128);
  for (size_t i = 1; i < a.w.size(); i += 3) a.w[i] = 0x0080;  // 2^-126, whose products are lost
  a.check(table());
}

TEST_P(TilesBf16, a_lane_and_a_block_do_not_depend_on_the_others) {
  const TileCase whole({3, 29, 302});
  const PageEnd<float> want = whole.product(table());
  TileCase poisoned({3, 29, 302});
  for (size_t i = 0; i < poisoned.x.size(); ++i)
    if (i % kLanes != 3) poisoned.x[i] = std::numeric_limits<float>::quiet_NaN();
  const PageEnd<float> got = poisoned.product(table());
  for (size_t i = 3; i < got.size(); i += kLanes) ASSERT_EQ(got[i], want[i]);
  PageEnd<float> last(whole.c_stride);
  table().product_pairs(whole.w.data(), whole.ldw, whole.x.data() + 2 * whole.x_stride, whole.x_stride, last.data(),
                        whole.c_stride, 1, 29, 302);
  EXPECT_EQ(std::memcmp(last.data(), want.data() + 2 * whole.c_stride, last.size() * sizeof(float)), 0);
}

TEST_P(TilesBf16, sums_are_the_exact_ones_within_their_roundings) {
  const TileCase a({2, 33, 600});
  const PageEnd<float> got = a.product(table());
  for (size_t block = 0; block < 2; ++block)
    for (size_t row = 0; row < 33; ++row)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        double sum = 0;
        for (size_t k = 0; k < 600; ++k)
          sum += double{widened(a.w[row * a.ldw + k])} * double{a.activation(block, k, lane)};
        ASSERT_NEAR(got[block * a.c_stride + row * kLanes + lane], sum,
                    a.size(block, row, lane) * kUnit * a.roundings());
      }
}

TEST_P(TilesBf16, tokens_as_rows_have_the_bits_of_lanes) {
  for (const size_t tokens : {1, 2, 15, 16, 17, 33}) RowsCase(tokens, 19, 70).check_product(table());
  for (const size_t n : {1, 16, 33, 49, 64, 97}) RowsCase(3, n, 34, 2).check_product(table());
  for (const size_t k : {2, 30, 32, 34, 256, 258, 512, 600}) RowsCase(2, 17, k).check_product(table());
}

TEST_P(TilesBf16, weighted_sums_of_tokens_as_rows_have_the_bits_of_lanes) {
  for (size_t tokens = 1; tokens <= 16; ++tokens) RowsCase(tokens, 19, 70).check_weighted_sum(table());
  for (const size_t n : {1, 2, 31, 32, 33, 255, 256, 257, 291}) RowsCase(3, n, 34, 2).check_weighted_sum(table());
  for (const size_t k : {2, 14, 16, 18, 30, 32, 34, 62, 64, 66, 96}) RowsCase(2, 37, k).check_weighted_sum(table());
}

// In parts, as attention of few rows calls it: whole steps of 32 rows after one another are one sum.
TEST_P(TilesBf16, a_weighted_sum_in_parts_has_the_bits_of_the_whole) {
  const RowsCase a(3, 291, 34);
  PageEnd<float> p(146 * kLanes), whole(3 * 34), parts(3 * 34);
  Values values(5);
  PageEnd<float> plain(291 * kLanes);
  values.fill(plain);
  table().round_pairs(plain.data(), 291, p.data());
  const float scale[] = {0.5f, 2.0f, 0.0f}, ones[] = {1, 1, 1};
  table().weighted_sum_rows_pairs(a.w.data(), a.ldw, p.data(), whole.data(), 34, scale, 3, 34, 291);
  for (size_t row = 0; row < 291; row += 64)
    table().weighted_sum_rows_pairs(a.w.data() + row * a.ldw, a.ldw, p.data() + row / 2 * kLanes, parts.data(), 34,
                                    row == 0 ? scale : ones, 3, 34, std::min<size_t>(64, 291 - row));
  EXPECT_TRUE(same_bits(parts, whole));
}

TEST_P(TilesBf16, passes_the_check_that_amxbf16_has_to_pass) { EXPECT_TRUE(computes_bf16_products(table())); }

TEST(TilesBf16Check, a_table_that_computes_something_else_does_not_pass) {
  KernelTable wrong = *available().front();
  EXPECT_TRUE(computes_bf16_products(wrong));
  wrong.product_pairs = [](const uint16_t* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                           size_t blocks, size_t n, size_t k) {
    available().front()->product_pairs(w, ldw, x, x_stride, c, c_stride, blocks, n, k);
    c[(n - 1) * kLanes + 3] += 0.01f;
  };
  EXPECT_FALSE(computes_bf16_products(wrong));
}

TEST(TilesBf16Check, a_processor_that_lacks_a_part_is_refused_before_anything_is_tried) {
  EXPECT_NE(amxbf16_obstacle(Cpu{}), nullptr);
  Cpu no_vectors;
  no_vectors.amx_tile = no_vectors.amx_int8 = no_vectors.amx_bf16 = true;
  EXPECT_NE(amxbf16_obstacle(no_vectors), nullptr);
}

}  // namespace
}  // namespace dgemma::kernels::testing
