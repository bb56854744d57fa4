// round_values, round_pairs, product_pairs, weighted_sum_pairs: every table but amxbf16 (tiles_bf16_test.cc) against
// sums written out here, on odd sizes, at page ends.
//
// Products of two bf16 are exact in f32 and the order of the sums is promised, so no tolerance is needed, whether a
// table fuses or not; numbers below 2^-126 have a test of their own with a bound.
#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"
#include "tensor/blocks.h"
#include "tensor/dtype.h"

namespace dgemma::kernels::testing {
namespace {

using tensor::float_to_bf16;
using tensor::paired_features;

struct PairShape {
  size_t blocks, n, k;      // k: even
  size_t ld_extra = 0;      // values (even) between one row of w and the next
  size_t stride_extra = 0;  // rows of 16 between blocks
};

/// Word i of a lane in a block of pairs.
struct Halves {
  float low, high;
};
Halves halves_at(const float* word) {
  uint16_t half[2];
  std::memcpy(half, word, sizeof half);
  return {widened(half[0]), widened(half[1])};
}

float add_pair(Halves w, Halves x, float sum) { return w.low * x.low + (w.high * x.high + sum); }

struct PairCase {
  PairShape s;
  size_t ldw, x_stride, c_stride;
  PageEnd<uint16_t> w;      // [n, k]
  PageEnd<uint32_t> words;  // [k / 2, n]: the same weights for the weighted sum
  PageEnd<float> x, c, scale;

  explicit PairCase(PairShape shape)
      : s(shape),
        ldw(s.k + s.ld_extra),
        x_stride((s.k / 2 + s.stride_extra) * kLanes),
        c_stride((s.n + s.stride_extra) * kLanes),
        w(s.k == 0 ? 0 : (s.n - 1) * ldw + s.k),
        words(s.k == 0 ? 0 : (s.k / 2 - 1) * words_ld() + s.n),
        x(s.k == 0 ? 0 : (s.blocks - 1) * x_stride + s.k / 2 * kLanes),
        c((s.blocks - 1) * c_stride + s.n * kLanes),
        scale(s.blocks * kLanes) {
    Values values(static_cast<uint32_t>(s.blocks * 10007 + s.n * 101 + s.k));
    values.fill(w);
    values.fill(c);
    values.fill(scale);
    for (float& word : x) {
      const uint16_t pair[2] = {values.next_bf16(), values.next_bf16()};
      std::memcpy(&word, pair, sizeof pair);
    }
    for (size_t i = 0; i < s.k / 2; ++i)
      for (size_t n = 0; n < s.n; ++n) std::memcpy(&words[i * words_ld() + n], &w[n * ldw + 2 * i], sizeof(uint32_t));
  }
  size_t words_ld() const { return s.n + s.ld_extra; }

  void product(const KernelTable& t, PageEnd<float>& out) const {
    t.product_pairs(w.data(), ldw, x.data(), x_stride, out.data(), c_stride, s.blocks, s.n, s.k);
  }
  void weighted_sum(const KernelTable& t, PageEnd<float>& out) const {
    t.weighted_sum_pairs(words.data(), words_ld(), x.data(), x_stride, out.data(), c_stride, scale.data(), s.blocks,
                         s.n, s.k);
  }

  void expect(const PageEnd<float>& got, bool scaled) const {
    for (size_t i = 0; i < got.size(); ++i) {
      const size_t block = i / c_stride, row = i % c_stride / kLanes, lane = i % kLanes;
      if (row >= s.n) {
        ASSERT_EQ(got[i], c[i]) << "written between blocks at " << i;
        continue;
      }
      float sum = scaled ? c[i] * scale[block * kLanes + lane] : 0.0f;
      for (size_t pair = 0; pair < s.k / 2; ++pair) {
        const Halves weight{widened(w[row * ldw + 2 * pair]), widened(w[row * ldw + 2 * pair + 1])};
        sum = add_pair(weight, halves_at(&x[block * x_stride + pair * kLanes + lane]), sum);
      }
      ASSERT_EQ(got[i], sum) << "block " << block << " row " << row << " lane " << lane;
    }
  }

  void check(const KernelTable& t) const {
    SCOPED_TRACE(::testing::Message() << "blocks " << s.blocks << " n " << s.n << " k " << s.k);
    PageEnd<float> got = c;
    product(t, got);
    expect(got, false);
    PageEnd<float> sums = c;
    weighted_sum(t, sums);
    expect(sums, true);
  }
};

std::vector<std::string> one_chain_table_names() {
  std::vector<std::string> names = table_names();
  std::erase(names, "amxbf16");
  return names;
}

using Pairs = EachTable;
INSTANTIATE_TEST_SUITE_P(Tables, Pairs, ::testing::ValuesIn(one_chain_table_names()), table_name);

// Every count of rows and blocks around the micro-kernels' shapes, and depths around the chunks'.
TEST_P(Pairs, products_are_one_ascending_chain_on_odd_sizes_at_page_ends) {
  for (size_t blocks = 1; blocks <= 9; ++blocks) PairCase({blocks, 13, 6}).check(table());
  for (size_t n = 1; n <= 26; ++n) PairCase({1 + n % 5, n, 4}).check(table());
  for (size_t k = 2; k <= 40; k += 2) PairCase({1 + k % 8 / 2, 7, k}).check(table());
  for (const size_t k : {126, 128, 130, 254, 256, 258, 510, 512, 514, 600})
    PairCase({1 + k % 8 / 2, 9, k}).check(table());
  for (const size_t n : {47, 48, 49, 95, 96, 97, 145}) PairCase({1 + n % 4, n, 130}).check(table());
  for (const size_t blocks : {1, 3, 5}) PairCase({blocks, 11, 10, 4, 2}).check(table());
  PairCase({3, 5, 0}).check(table());
}

TEST_P(Pairs, a_block_and_a_lane_do_not_depend_on_the_others) {
  const PairCase whole({7, 29, 302});
  PageEnd<float> want = whole.c;
  whole.product(table(), want);
  for (size_t first = 0; first < 7; ++first)
    for (size_t count = 1; first + count <= 7; ++count) {
      PageEnd<float> got(count * whole.c_stride);
      table().product_pairs(whole.w.data(), whole.ldw, whole.x.data() + first * whole.x_stride, whole.x_stride,
                            got.data(), whole.c_stride, count, 29, 302);
      ASSERT_EQ(std::memcmp(got.data(), want.data() + first * whole.c_stride, got.size() * sizeof(float)), 0)
          << "blocks " << first << " to " << first + count;
    }
  PairCase poisoned({7, 29, 302});
  for (size_t i = 0; i < poisoned.x.size(); ++i)
    if (i % kLanes != 3) poisoned.x[i] = std::numeric_limits<float>::quiet_NaN();
  PageEnd<float> got = whole.c;
  poisoned.product(table(), got);
  for (size_t i = 3; i < got.size(); i += kLanes) ASSERT_EQ(got[i], want[i]);
}

TEST_P(Pairs, weights_may_start_at_any_even_address) {
  const PairCase a({3, 17, 66});
  PageEnd<float> want = a.c;
  a.product(table(), want);
  for (size_t shift = 1; shift <= 17; shift += 4) {  // values behind the last weight: not at the page end here
    PageEnd<uint16_t> w(a.w.size() + shift);
    std::memcpy(w.data(), a.w.data(), a.w.size() * sizeof(uint16_t));
    PageEnd<float> got = a.c;
    table().product_pairs(w.data(), a.ldw, a.x.data(), a.x_stride, got.data(), a.c_stride, 3, 17, 66);
    EXPECT_TRUE(same_bits(got, want)) << shift;
  }
}

// What a table may take for zero: weights and activations below 2^-126, and sums there.
TEST_P(Pairs, tiny_numbers_are_at_most_lost) {
  PairCase a({1, 5, 64});
  for (size_t i = 0; i < a.w.size(); i += 3) a.w[i] = static_cast<uint16_t>(i % 128);  // subnormal
  for (size_t i = 0; i < a.x.size(); i += 2) {
    const uint16_t pair[2] = {static_cast<uint16_t>(0x8000 + i % 100), 0x0080};
    std::memcpy(&a.x[i], pair, sizeof pair);
  }
  PageEnd<float> got = a.c, want = a.c;
  a.product(table(), got);
  a.product(*choose("scalar").value(), want);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 128 * 0x1p-126);
}

TEST_P(Pairs, rounding_gives_the_nearest_and_pads_with_zeros) {
  for (const size_t features : {1, 2, 3, 31, 64, 65}) {
    PageEnd<float> x(features * kLanes), got(paired_features(features) * kLanes);
    Values(static_cast<uint32_t>(features)).fill(x, 5.0f);
    x[0] = kInf, x[1] = -0.0f, x[2] = std::bit_cast<float>(0x3f808000u), x[3] = std::bit_cast<float>(0x3f818000u);
    x[4] = 1e-40f;
    table().round_pairs(x.data(), features, got.data());
    for (size_t i = 0; i < got.size(); ++i) {
      uint16_t half[2];
      std::memcpy(half, &got[i], sizeof half);
      const size_t feature = i / kLanes * 2, lane = i % kLanes;
      ASSERT_EQ(half[0], float_to_bf16(x[feature * kLanes + lane]));
      ASSERT_EQ(half[1], feature + 1 < features ? float_to_bf16(x[(feature + 1) * kLanes + lane]) : 0);
    }
    PageEnd<uint16_t> values(x.size() - 3);
    table().round_values(x.data(), values.size(), values.data());
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], float_to_bf16(x[i]));
    x[5] = std::numeric_limits<float>::quiet_NaN();
    table().round_pairs(x.data(), features, got.data());
    ASSERT_TRUE(std::isnan(halves_at(&got[5]).low));
  }
}

TEST_P(Pairs, rows_stand_side_by_side_and_an_odd_last_one_beside_zeros) {
  for (const size_t rows : {1, 2, 5})
    for (const size_t n : {1, 3, 4, 17, 70}) {
      PageEnd<uint16_t> w(rows * n + (rows - 1) * 2);  // rows n + 2 apart
      for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<uint16_t>(i * 40503u);
      PageEnd<uint32_t> got((rows + 1) / 2 * n);
      table().interleave_rows(w.data(), n + 2, rows, n, got.data());
      const auto value = [&](size_t row, size_t i) { return row < rows ? uint32_t{w[row * (n + 2) + i]} : 0u; };
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(got[i], value(i / n * 2, i % n) | value(i / n * 2 + 1, i % n) << 16) << rows << " " << n << " " << i;
    }
}

}  // namespace
}  // namespace dgemma::kernels::testing
