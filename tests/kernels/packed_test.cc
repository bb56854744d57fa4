// quantise, product_packed*, transpose_packed*: every table but amx (folded_test.cc) against sums written out here, on
// odd sizes, at page ends.
//
// The integer parts are exact and the order of the float parts is promised, so no tolerance is needed: tables that fuse
// equal a chain of std::fma bit for bit, scalar and sse2 one of separate roundings.
#include <algorithm>

#include "kernels/packed_testing.h"

namespace dgemma::kernels::testing {
namespace {

struct ProductOfPacked : PackedCase {
  ProductOfPacked(DType t, Shape shape) : PackedCase(t, shape, choose("scalar").value()->quantise) {}

  int code(const uint8_t* superblock, size_t row, size_t column) const {
    const bool four = type == DType::kPacked4;
    const int byte = superblock[64 + column / (four ? 8 : 4) * 64 + row * 4 + column % 4];
    return four ? (byte >> (column % 8 / 4 * 4) & 15) - 8 : byte - 128;
  }

  float expected(const KernelTable& t, float start, size_t block, size_t row, size_t lane) const {
    float total = start;
    for (size_t group = 0; group < 2 * tensor::superblocks_for(s.k); ++group) {
      const size_t r = row % kPanelRows, g = group % 2;
      const uint8_t* weights = w.data() + row / kPanelRows * panel_stride + group / 2 * tensor::info(type).block_bytes;
      const float* activations = x.data() + block * x_stride + group / 2 * kQuantisedRows * kLanes;
      const auto* bytes = reinterpret_cast<const int8_t*>(activations + 4 * kLanes);
      int sum = 0;
      for (size_t column = g * 32; column < g * 32 + 32; ++column)
        sum += code(weights, r, column) * bytes[column / 4 * 64 + lane * 4 + column % 4];
      const float scaled = static_cast<float>(sum) * activations[g * kLanes + lane];
      const float weight = tensor::f16_to_float(half_at(weights + (g * kPanelRows + r) * 2));
      total = fused(t) ? std::fma(scaled, weight, total) : scaled * weight + total;
    }
    return total;
  }

  void check(const KernelTable& t, bool scaled) const {
    SCOPED_TRACE(::testing::Message() << "tokens " << s.tokens << " n " << s.n << " k " << s.k);
    PageEnd<float> got = c;
    const auto product = type == DType::kPacked4 ? t.product_packed4 : t.product_packed8;
    product(w.data(), panel_stride, x.data(), x_stride, got.data(), c_stride, scaled ? scale.data() : nullptr, s.tokens,
            s.n, s.k);
    for (size_t i = 0; i < got.size(); ++i) {
      const size_t block = i / c_stride, row = i % c_stride / kLanes, lane = i % kLanes;
      if (row >= s.n) {
        ASSERT_EQ(got[i], c[i]) << "written between blocks at " << i;
        continue;
      }
      if (block * kLanes + lane >= s.tokens) {
        ASSERT_TRUE(std::isfinite(got[i]));
        continue;
      }
      const float start = scaled ? c[i] * scale[block * kLanes + lane] : 0.0f;
      ASSERT_EQ(got[i], expected(t, start, block, row, lane))
          << "block " << block << " row " << row << " lane " << lane;
    }
  }
};

std::vector<std::string> exact_table_names() {
  std::vector<std::string> names;
  for (const KernelTable* t : exact_tables()) names.push_back(t->name);
  return names;
}

using Packed = EachTable;
INSTANTIATE_TEST_SUITE_P(Tables, Packed, ::testing::ValuesIn(exact_table_names()), table_name);

TEST_P(Packed, products_are_exact_sums_of_32_in_one_chain_on_odd_sizes_at_page_ends) {
  std::vector<Shape> shapes;
  for (size_t tokens = 1; tokens <= 50; ++tokens) shapes.push_back({tokens, 16, 64});
  for (const size_t tokens : {63, 64, 65, 80, 97, 112, 121}) shapes.push_back({tokens, 20, 66});
  for (const size_t n : {1, 3, 4, 7, 15, 16, 17, 31, 33, 49, 61, 63, 64, 65, 129})
    for (const size_t tokens : {13, 70}) shapes.push_back({tokens + n % 7, n, 70});
  for (const size_t k : {1, 4, 31, 32, 33, 63, 64, 65, 127, 129, 255, 256, 257, 330, 576})
    for (const size_t tokens : {1, 60}) shapes.push_back({tokens + k % 9, 18, k});
  for (const size_t tokens : {5, 16, 61}) shapes.push_back({tokens, 37, 130, 2});
  for (const size_t tokens : {1, 2, 3, 4}) shapes.push_back({tokens, 17, 4096 / tokens * 16 / 5 + 70});  // in two parts
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const Shape& shape : shapes)
      for (const bool scaled : {false, true}) ProductOfPacked(type, shape).check(table(), scaled);
}

TEST_P(Packed, largest_codes_and_activations_do_not_overflow) {
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const int code : {0, 255})
      for (const float value : {-1.0f, 1.0f})
        for (const size_t tokens : {1, 2, 3, 16}) {
          ProductOfPacked extreme(type, {tokens, 16, 64});
          for (size_t i = tensor::kScaleBytes; i < extreme.w.size(); ++i) extreme.w[i] = static_cast<uint8_t>(code);
          PageEnd<float> x(64 * kLanes);
          std::fill(x.begin(), x.end(), value);
          table().quantise(x.data(), 64, extreme.x.data());
          extreme.check(table(), false);
        }
}

TEST_P(Packed, quantised_activations_have_the_same_bits_everywhere_and_are_within_half_a_step) {
  for (const size_t features : {1, 3, 4, 31, 32, 33, 64, 65, 130}) {
    PageEnd<float> x(features * kLanes), got(tensor::quantised_features(features) * kLanes);
    Values values(static_cast<uint32_t>(features));
    values.fill(x, 5.0f);
    for (size_t i = 0; i < x.size(); i += kLanes) x[i] = 0.0f, x[i + 1] *= 1e-38f, x[i + 2] *= 1e30f;
    PageEnd<float> want = got;
    table().quantise(x.data(), features, got.data());
    choose("scalar").value()->quantise(x.data(), features, want.data());
    ASSERT_TRUE(same_bits(got, want)) << features;
    for (size_t i = 0; i < features; ++i)
      for (size_t lane = 3; lane < kLanes; ++lane) {
        const float* superblock = got.data() + i / 64 * kQuantisedRows * kLanes;
        const float scale = superblock[i % 64 / 32 * kLanes + lane];
        const int q = reinterpret_cast<const int8_t*>(superblock + 4 * kLanes)[i % 64 / 4 * 64 + lane * 4 + i % 4];
        ASSERT_NEAR(scale * static_cast<float>(q), x[i * kLanes + lane], scale * 0.5001f);
      }
  }
}

TEST_P(Packed, a_group_with_a_number_that_is_not_finite_makes_its_sums_not_finite) {
  for (const float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN()}) {
    const ProductOfPacked plain(DType::kPacked8, {16, 16, 128});
    PageEnd<float> x(128 * kLanes), quantised_x = plain.x, c = plain.c;
    Values(4).fill(x);
    x[100 * kLanes + 5] = bad;
    table().quantise(x.data(), 128, quantised_x.data());
    PageEnd<uint8_t> w = plain.w;
    const uint16_t one = 0x3C00;
    for (size_t s = 0; s < 2; ++s)
      for (size_t i = 0; i < tensor::kScaleBytes; i += 2)
        std::memcpy(&w[s * tensor::kSuperblockBytes8 + i], &one, sizeof one);
    table().product_packed8(w.data(), plain.panel_stride, quantised_x.data(), plain.x_stride, c.data(), plain.c_stride,
                            nullptr, 16, 16, 128);
    for (size_t row = 0; row < 16; ++row)
      for (size_t lane = 0; lane < kLanes; ++lane)
        EXPECT_EQ(std::isfinite(c[row * kLanes + lane]), lane != 5) << "row " << row << " lane " << lane;
  }
}

TEST_P(Packed, the_transpose_has_the_same_bytes_everywhere_and_is_within_a_code) {
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const size_t panels : {1, 2, 4})
      for (const size_t k : {1, 33, 64, 100, 200}) {
        const bool four = type == DType::kPacked4;
        const size_t stride = tensor::panel_bytes(type, k), superblock = tensor::panel_bytes(type, 1);
        const size_t superblocks = tensor::superblocks_for(k), rows = panels * kPanelRows;
        const PageEnd<uint8_t> w = random_panels(type, rows, k, stride, 7);
        // Panels of two superblocks, of which the second one is written.
        constexpr size_t kOut = tensor::kSuperblockBytes8, kOutStride = 2 * kOut;
        PageEnd<uint8_t> got(superblocks * kSuperblock / kPanelRows * kOutStride), want = got;
        PageEnd<float> scale(rows), want_scale(rows);
        const auto run = [&](const KernelTable& t, PageEnd<uint8_t>& out, PageEnd<float>& row_scale) {
          (four ? t.row_scales4 : t.row_scales8)(w.data(), stride, panels, k, row_scale.data());
          for (size_t s = 0; s < superblocks; ++s)
            (four ? t.transpose_packed4 : t.transpose_packed8)(w.data() + s * superblock, stride, panels,
                                                               row_scale.data(), out.data() + s * 4 * kOutStride + kOut,
                                                               kOutStride);
        };
        run(table(), got, scale);
        run(*choose("scalar").value(), want, want_scale);
        ASSERT_TRUE(std::equal(got.begin(), got.end(), want.begin())) << panels << " " << k;
        ASSERT_TRUE(same_bits(scale, want_scale));
        const tensor::Weight all{type, w.data(), rows, k, stride};
        const tensor::Weight turned{DType::kPacked8, got.data() + kOut, k, 64, kOutStride};
        std::vector<float> row(k), codes(64);
        for (size_t column = 0; column < k; ++column) {
          tensor::unpack_row(turned, column, codes.data());
          for (size_t r = 0; r < rows; ++r) {
            tensor::unpack_row(all, r, row.data());
            ASSERT_NEAR(codes[r] * scale[r], row[column], 0.76f * scale[r]) << r << " " << column;
          }
          for (size_t r = rows; r < 64; ++r) ASSERT_EQ(codes[r], 0);
        }
      }
}

}  // namespace
}  // namespace dgemma::kernels::testing
