// product_* and weighted_sum_* of floats: against sums in double written out here, on odd sizes, at page ends, for
// every table.
//
// Products are exact in double and sums run in ascending order, so all tables give the same bits: no tolerance is
// needed.
#include <algorithm>

#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"

namespace dgemma::kernels::testing {
namespace {

struct ProductShape {
  size_t blocks, n, k;
  size_t ld_extra = 0;      // values between one row of w and the next
  size_t stride_extra = 0;  // features between one block and the next
};

template <class W>
struct ProductCase {
  ProductShape s;
  size_t ldw, x_stride, c_stride;
  PageEnd<W> w;
  PageEnd<float> x, c, scale;

  // Rows and depth of w: [n, k] for the product, [k, n] for the weighted sum.
  ProductCase(ProductShape shape, bool transposed)
      : s(shape),
        ldw((transposed ? s.n : s.k) + s.ld_extra),
        x_stride((s.k + s.stride_extra) * kLanes),
        c_stride((s.n + s.stride_extra) * kLanes),
        w(span(transposed ? s.k : s.n, transposed ? s.n : s.k, ldw)),
        x(span(s.blocks, s.k * kLanes, x_stride)),
        c(span(s.blocks, s.n * kLanes, c_stride)),
        scale(s.blocks * kLanes) {
    Values values(static_cast<uint32_t>(s.blocks * 10007 + s.n * 101 + s.k));
    values.fill(w);
    values.fill(x);
    values.fill(c);
    values.fill(scale);
  }

  static size_t span(size_t count, size_t size, size_t stride) {
    return count == 0 || size == 0 ? 0 : (count - 1) * stride + size;
  }

  void expect_product(const PageEnd<float>& got) const {
    for (size_t b = 0; b < s.blocks; ++b)
      for (size_t row = 0; row < s.n; ++row)
        for (size_t lane = 0; lane < kLanes; ++lane) {
          double sum = 0;
          for (size_t i = 0; i < s.k; ++i)
            sum += double{widened(w[row * ldw + i])} * x[b * x_stride + i * kLanes + lane];
          ASSERT_EQ(got[b * c_stride + row * kLanes + lane], static_cast<float>(sum))
              << "block " << b << " row " << row << " lane " << lane;
        }
    expect_gaps_untouched(got);
  }

  void expect_weighted_sum(const PageEnd<float>& got, bool scaled) const {
    for (size_t b = 0; b < s.blocks; ++b)
      for (size_t col = 0; col < s.n; ++col)
        for (size_t lane = 0; lane < kLanes; ++lane) {
          const size_t at = b * c_stride + col * kLanes + lane;
          double sum = double{c[at]} * (scaled ? scale[b * kLanes + lane] : 1.0f);
          for (size_t i = 0; i < s.k; ++i)
            sum += double{widened(w[i * ldw + col])} * x[b * x_stride + i * kLanes + lane];
          ASSERT_EQ(got[at], static_cast<float>(sum)) << "block " << b << " column " << col << " lane " << lane;
        }
    expect_gaps_untouched(got);
  }

  void expect_gaps_untouched(const PageEnd<float>& got) const {
    for (size_t i = 0; i < got.size(); ++i) {
      const bool gap = i % c_stride >= s.n * kLanes;
      ASSERT_TRUE(!gap || got[i] == c[i]) << "written between blocks at " << i;
    }
  }
};

void run_product(const KernelTable& t, const ProductCase<float>& a, PageEnd<float>& c) {
  t.product_f32(a.w.data(), a.ldw, a.x.data(), a.x_stride, c.data(), a.c_stride, a.s.blocks, a.s.n, a.s.k);
}
void run_product(const KernelTable& t, const ProductCase<uint16_t>& a, PageEnd<float>& c) {
  t.product_bf16(a.w.data(), a.ldw, a.x.data(), a.x_stride, c.data(), a.c_stride, a.s.blocks, a.s.n, a.s.k);
}
void run_weighted_sum(const KernelTable& t, const ProductCase<float>& a, const float* scale, PageEnd<float>& c) {
  t.weighted_sum_f32(a.w.data(), a.ldw, a.x.data(), a.x_stride, c.data(), a.c_stride, scale, a.s.blocks, a.s.n, a.s.k);
}
void run_weighted_sum(const KernelTable& t, const ProductCase<uint16_t>& a, const float* scale, PageEnd<float>& c) {
  t.weighted_sum_bf16(a.w.data(), a.ldw, a.x.data(), a.x_stride, c.data(), a.c_stride, scale, a.s.blocks, a.s.n, a.s.k);
}

template <class W>
void check(const KernelTable& t, const ProductShape& shape) {
  SCOPED_TRACE(::testing::Message() << "blocks " << shape.blocks << " n " << shape.n << " k " << shape.k);
  {
    const ProductCase<W> a(shape, false);
    PageEnd<float> c = a.c;
    run_product(t, a, c);
    a.expect_product(c);
  }
  const ProductCase<W> a(shape, true);
  for (const bool scaled : {false, true}) {
    PageEnd<float> c = a.c;
    run_weighted_sum(t, a, scaled ? a.scale.data() : nullptr, c);
    a.expect_weighted_sum(c, scaled);
  }
}

// Every count of rows and blocks around the micro-kernels' shapes, and depths around those that are widened together.
std::vector<ProductShape> odd_shapes() {
  std::vector<ProductShape> shapes;
  for (size_t blocks = 1; blocks <= 18; ++blocks) shapes.push_back({blocks, 13, 7});
  for (size_t n = 1; n <= 26; ++n) shapes.push_back({1 + n % 5, n, 5});
  for (size_t k = 1; k <= 20; ++k) shapes.push_back({1 + k % 4, 7, k});
  for (const size_t k : {63, 64, 65, 127, 128, 129, 255, 256, 257, 300}) shapes.push_back({1 + k % 4, 9, k});
  for (const size_t n : {47, 48, 49, 95, 96, 97, 100, 145}) shapes.push_back({1 + n % 4, n, 130});
  for (const size_t blocks : {1, 3, 5}) shapes.push_back({blocks, 11, 9, 3, 2});
  return shapes;
}

using Product = EachTable;
DG_FOR_EACH_TABLE(Product);

TEST_P(Product, f32_is_summed_in_double_on_odd_sizes_at_page_ends) {
  for (const ProductShape& s : odd_shapes()) check<float>(table(), s);
}

TEST_P(Product, bf16_is_summed_in_double_on_odd_sizes_at_page_ends) {
  for (const ProductShape& s : odd_shapes()) check<uint16_t>(table(), s);
}

TEST_P(Product, no_features_give_zeros_and_only_scale_the_sum) {
  check<float>(table(), {3, 5, 0});
  check<uint16_t>(table(), {3, 5, 0});
}

TEST_P(Product, no_blocks_and_no_rows_touch_nothing) {
  table().product_f32(nullptr, 0, nullptr, 0, nullptr, 0, 0, 4, 4);
  table().product_bf16(nullptr, 0, nullptr, 0, nullptr, 0, 2, 0, 4);
  table().weighted_sum_f32(nullptr, 0, nullptr, 0, nullptr, 0, nullptr, 0, 4, 4);
  table().weighted_sum_bf16(nullptr, 0, nullptr, 0, nullptr, 0, nullptr, 2, 0, 4);
}

// A row's result must not depend on how many blocks are worked on together, nor on where in the list its block is.
template <class W>
void check_blocks_do_not_matter(const KernelTable& t) {
  constexpr size_t kBlocks = 10, kN = 29, kK = 301;
  for (const bool transposed : {false, true}) {
    const ProductCase<W> whole({kBlocks, kN, kK}, transposed);
    PageEnd<float> want = whole.c;
    transposed ? run_weighted_sum(t, whole, whole.scale.data(), want) : run_product(t, whole, want);
    for (size_t first = 0; first < kBlocks; ++first)
      for (size_t count = 1; first + count <= kBlocks; ++count) {
        ProductCase<W> part({count, kN, kK}, transposed);
        std::memcpy(part.w.data(), whole.w.data(), part.w.size() * sizeof(W));
        std::memcpy(part.x.data(), whole.x.data() + first * part.x_stride, part.x.size() * sizeof(float));
        std::memcpy(part.c.data(), whole.c.data() + first * part.c_stride, part.c.size() * sizeof(float));
        const float* scale = whole.scale.data() + first * kLanes;
        PageEnd<float> got = part.c;
        transposed ? run_weighted_sum(t, part, scale, got) : run_product(t, part, got);
        ASSERT_EQ(std::memcmp(got.data(), want.data() + first * part.c_stride, got.size() * sizeof(float)), 0)
            << "blocks " << first << " to " << first + count;
      }
  }
}

TEST_P(Product, a_block_does_not_depend_on_the_other_blocks) {
  check_blocks_do_not_matter<float>(table());
  check_blocks_do_not_matter<uint16_t>(table());
}

TEST_P(Product, a_lane_does_not_depend_on_the_other_lanes) {
  ProductCase<float> a({2, 7, 33}, false);
  PageEnd<float> before = a.c, after = a.c;
  run_product(table(), a, before);
  for (size_t i = 0; i < a.x.size(); ++i)
    if (i % kLanes != 3) a.x[i] = std::numeric_limits<float>::quiet_NaN();
  run_product(table(), a, after);
  for (size_t i = 3; i < before.size(); i += kLanes) ASSERT_EQ(before[i], after[i]);
}

// Tensors lie at any address that suits their type: bf16 at odd multiples of 2, f32 at odd multiples of 4.
TEST_P(Product, weights_may_start_anywhere) {
  const ProductCase<float> f({3, 17, 67}, false);
  const ProductCase<uint16_t> h({3, 17, 67}, false);
  PageEnd<float> want_f = f.c, want_h = h.c;
  run_product(table(), f, want_f);
  run_product(table(), h, want_h);
  for (size_t shift = 1; shift <= 17; shift += 4) {  // values behind the last weight: not at the page end here
    PageEnd<float> wf(f.w.size() + shift);
    PageEnd<uint16_t> wh(h.w.size() + shift);
    std::memcpy(wf.data(), f.w.data(), f.w.size() * sizeof(float));
    std::memcpy(wh.data(), h.w.data(), h.w.size() * sizeof(uint16_t));
    PageEnd<float> cf = f.c, ch = h.c;
    table().product_f32(wf.data(), f.ldw, f.x.data(), f.x_stride, cf.data(), f.c_stride, 3, 17, 67);
    table().product_bf16(wh.data(), h.ldw, h.x.data(), h.x_stride, ch.data(), h.c_stride, 3, 17, 67);
    EXPECT_TRUE(same_bits(cf, want_f)) << shift;
    EXPECT_TRUE(same_bits(ch, want_h)) << shift;
  }
}

// Products in chunks of n, as threads and tiles cut them, give the bits of the whole.
TEST_P(Product, a_weight_row_does_not_depend_on_the_other_rows) {
  const ProductCase<uint16_t> a({2, 40, 150}, false);
  PageEnd<float> want = a.c, got = a.c;
  run_product(table(), a, want);
  for (size_t n = 0; n < 40; n += 7) {
    const size_t rows = std::min<size_t>(7, 40 - n);
    table().product_bf16(a.w.data() + n * a.ldw, a.ldw, a.x.data(), a.x_stride, got.data() + n * kLanes, a.c_stride, 2,
                         rows, 150);
  }
  EXPECT_TRUE(same_bits(got, want));
}

}  // namespace
}  // namespace dgemma::kernels::testing
