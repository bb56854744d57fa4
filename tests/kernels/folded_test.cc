// The tables that fold weights (amx): bit for bit against the folded reference of scalar_int8.h on odd sizes, at page
// ends and in threads; and the reference against exact products. Everywhere with tiles emulated, for real where there
// is AMX.
#include <algorithm>
#include <thread>

#include "kernels/amx_emulated.h"
#include "kernels/amx_machine.h"
#include "kernels/packed_testing.h"
#include "kernels/scalar_int8.h"

namespace dgemma::kernels::testing {
namespace {

using Folded = OnTiles;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Folded);
INSTANTIATE_TEST_SUITE_P(Tables, Folded, ::testing::ValuesIn(tiles_tables(amx_emulated_table, "amx")), tiles_name);

PageEnd<float> product(const PackedCase& c, const KernelTable& t, const float* scale) {
  PageEnd<float> got = c.c;
  const auto product = c.type == DType::kPacked4 ? t.product_packed4 : t.product_packed8;
  product(c.w.data(), c.panel_stride, c.x.data(), c.x_stride, got.data(), c.c_stride, scale, c.s.tokens, c.s.n, c.s.k);
  return got;
}

PageEnd<float> reference(const PackedCase& c, const float* scale) {
  PageEnd<float> want = c.c;
  const auto product = c.type == DType::kPacked4 ? product_folded_exactly<4> : product_folded_exactly<8>;
  product(c.w.data(), c.panel_stride, c.x.data(), c.x_stride, want.data(), c.c_stride, scale, c.s.tokens, c.s.n, c.s.k);
  return want;
}

void expect_reference(const PackedCase& c, const KernelTable& t, bool scaled) {
  SCOPED_TRACE(::testing::Message() << "tokens " << c.s.tokens << " n " << c.s.n << " k " << c.s.k);
  const float* scale = scaled ? c.scale.data() : nullptr;
  const PageEnd<float> got = product(c, t, scale), want = reference(c, scale);
  for (size_t i = 0; i < got.size(); ++i) {
    const size_t token = i / c.c_stride * kLanes + i % kLanes, row = i % c.c_stride / kLanes;
    if (row < c.s.n && token >= c.s.tokens)
      ASSERT_TRUE(std::isfinite(got[i]));
    else
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
          << "row " << row << " token " << token;
  }
}

TEST_P(Folded, products_are_the_reference_bit_for_bit_on_odd_sizes_at_page_ends) {
  std::vector<Shape> shapes;
  for (size_t tokens = 1; tokens <= 50; ++tokens) shapes.push_back({tokens, 16, 64});
  for (const size_t n : {1, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 129})
    for (const size_t tokens : {1, 16, 29}) shapes.push_back({tokens, n, 70});
  for (const size_t k : {1, 4, 31, 32, 33, 63, 64, 65, 127, 129, 192, 255, 256, 257, 330, 576})
    for (const size_t tokens : {1, 40}) shapes.push_back({tokens + k % 9, 35, k});
  for (const size_t tokens : {5, 16, 61}) shapes.push_back({tokens, 37, 130, 2});
  shapes.push_back({1, 17, 13200}), shapes.push_back({4, 17, 3200});  // more than few tokens' products gather at once
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const Shape& shape : shapes)
      for (const bool scaled : {false, true})
        expect_reference(PackedCase(type, shape, quantise_by_fold_exactly), table(), scaled);
}

TEST_P(Folded, every_code_ratio_and_scale_is_the_references) {
  for (const DType type : {DType::kPacked4, DType::kPacked8}) {
    PackedCase c(type, {16, 256, 64 * 16}, quantise_by_fold_exactly);
    Values values(11);
    for (uint8_t& byte : c.w) byte = static_cast<uint8_t>(values.bits() >> 13);  // scales too: all kinds of f16
    for (const size_t tokens : {16, 3}) {
      c.s.tokens = tokens;
      expect_reference(c, table(), false);
    }
  }
}

TEST_P(Folded, largest_codes_and_activations_do_not_overflow) {
  for (const DType type : {DType::kPacked4, DType::kPacked8})
    for (const int code : {0, 255})
      for (const float scale : {-1.0f, 1.0f}) {
        PackedCase c(type, {16, 16, 128}, quantise_by_fold_exactly);
        const uint16_t one = 0x3C00, half = tensor::quant::float_to_f16(scale);
        const size_t superblock = tensor::info(type).block_bytes;
        for (size_t i = 0; i < c.w.size(); ++i) c.w[i] = static_cast<uint8_t>(code);
        for (size_t s = 0; s < 2; ++s)
          for (size_t i = 0; i < tensor::kScaleBytes; i += 2)
            std::memcpy(&c.w[s * superblock + i], i < tensor::kScaleBytes / 2 ? &one : &half, sizeof half);
        PageEnd<float> x(128 * kLanes);
        std::fill(x.begin(), x.end(), -1.0f);
        table().quantise(x.data(), 128, c.x.data());
        expect_reference(c, table(), false);
      }
}

TEST_P(Folded, quantised_activations_are_the_references_with_one_scale_for_64_features) {
  for (const size_t features : {1, 3, 4, 31, 32, 33, 40, 64, 65, 130}) {
    PageEnd<float> x(features * kLanes), got(tensor::quantised_features(features) * kLanes);
    Values values(static_cast<uint32_t>(features));
    values.fill(x, 5.0f);
    for (size_t i = 0; i < x.size(); i += kLanes) x[i] = 0.0f, x[i + 1] *= 1e-38f, x[i + 2] *= 1e30f;
    x[3] = kInf;
    PageEnd<float> want = got;
    table().quantise(x.data(), features, got.data());
    quantise_by_fold_exactly(x.data(), features, want.data());
    ASSERT_TRUE(same_bits(got, want)) << features;
    ASSERT_EQ(std::memcmp(got.data(), got.data() + kLanes, kLanes * sizeof(float)), 0);
  }
}

TEST_P(Folded, a_number_that_is_not_finite_makes_its_token_not_finite_and_no_other) {
  for (const float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN()}) {
    PackedCase c(DType::kPacked8, {16, 16, 128}, quantise_by_fold_exactly);
    PageEnd<float> x(128 * kLanes);
    Values(4).fill(x);
    x[100 * kLanes + 5] = bad;
    table().quantise(x.data(), 128, c.x.data());
    const PageEnd<float> got = product(c, table(), nullptr);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(std::isfinite(got[i]), i % kLanes != 5) << i;
  }
}

TEST_P(Folded, lanes_past_the_tokens_stay_finite_whatever_their_activations_are) {
  PackedCase c(DType::kPacked4, {5, 16, 128}, quantise_by_fold_exactly);
  for (size_t s = 0; s < 2; ++s)
    for (size_t lane = 5; lane < kLanes; ++lane) c.x[s * kQuantisedRows * kLanes + lane] = kInf;
  expect_reference(c, table(), false);
}

TEST_P(Folded, a_token_has_the_same_bits_alone_and_among_others) {
  for (const DType type : {DType::kPacked4, DType::kPacked8}) {
    PackedCase c(type, {70, 40, 330}, quantise_by_fold_exactly);
    const PageEnd<float> all = product(c, table(), nullptr);
    for (const size_t tokens : {1, 2, 3, 4, 5, 16, 17, 33}) {
      c.s.tokens = tokens;
      const PageEnd<float> few = product(c, table(), nullptr);
      for (size_t token = 0; token < tokens; ++token)
        for (size_t row = 0; row < c.s.n; ++row) {
          const size_t at = token / kLanes * c.c_stride + row * kLanes + token % kLanes;
          ASSERT_EQ(few[at], all[at]) << token << " of " << tokens;
        }
    }
  }
}

TEST_P(Folded, threads_that_come_and_go_compute_at_the_same_time) {
  const PackedCase c(DType::kPacked4, {20, 40, 330}, quantise_by_fold_exactly);
  const PageEnd<float> want = product(c, table(), nullptr);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    std::vector<int> same(4);
    for (int& result : same)
      threads.emplace_back([&] {
        result = 1;
        for (int i = 0; i < 20; ++i) result = result && same_bits(product(c, table(), nullptr), want);
      });
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(std::count(same.begin(), same.end(), 1), 4);
  }
}

TEST_P(Folded, passes_the_check_that_amx_has_to_pass) { EXPECT_TRUE(computes_folded_products(table())); }

TEST(FoldedCheck, a_table_that_computes_something_else_does_not_pass) {
  for (const KernelTable* t : exact_tables()) EXPECT_FALSE(computes_folded_products(*t)) << t->name;
}

TEST(FoldedCheck, a_processor_that_lacks_a_part_is_refused_before_anything_is_tried) {
  EXPECT_NE(amx_obstacle(Cpu{}), nullptr);
  Cpu no_vectors;
  no_vectors.amx_tile = no_vectors.amx_int8 = true;
  EXPECT_NE(amx_obstacle(no_vectors), nullptr);
}

/// Root mean square of got - want over that of want.
double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  double error = 0, size = 0;
  for (size_t i = 0; i < want.size(); ++i) error += std::pow(got[i] - want[i], 2), size += std::pow(want[i], 2);
  return std::sqrt(error / size);
}

/// Normal values: sums of four uniform ones are near enough, with the same deviation.
std::vector<float> normal_values(size_t count, uint32_t seed) {
  Values values(seed);
  std::vector<float> out(count);
  for (float& v : out) v = values.next() + values.next() + values.next() + values.next();
  return out;
}

/// What a product of 64 x 1024 weights of `type` with 16 tokens is off, folded or exact, from the same weights and
/// activations in double.
double error_of(DType type, bool folded) {
  constexpr size_t kRows = 64, kColumns = 1024;
  const std::vector<float> source = normal_values(kRows * kColumns, 1), x = normal_values(kColumns * kLanes, 2);
  const size_t panel = tensor::panel_bytes(type, kColumns);
  PageEnd<uint8_t> w(kRows / kPanelRows * panel);
  if (type == DType::kPacked4) {  // as Q4_0 does: the largest becomes -8
    std::vector<std::byte> blocks(source.size() / 32 * 18);
    tensor::quant::encode(DType::kQ4_0, source.data(), source.size(), blocks.data());
    for (size_t r = 0; r < kRows; r += kPanelRows)
      EXPECT_TRUE(tensor::pack_panel({tensor::DType::kQ4_0, blocks.data(), kRows, kColumns}, tensor::DType::kPacked4, r,
                                     reinterpret_cast<std::byte*>(w.data() + r / kPanelRows * panel)));
  } else {
    for (size_t r = 0; r < kRows; r += kPanelRows)
      EXPECT_TRUE(tensor::pack_panel({DType::kF32, source.data(), kRows, kColumns}, DType::kPacked8, r,
                                     reinterpret_cast<std::byte*>(w.data() + r / kPanelRows * panel)));
  }
  PageEnd<float> quantised(tensor::quantised_features(kColumns) * kLanes), c(kRows * kLanes);
  (folded ? quantise_by_fold_exactly : quantise_exactly)(x.data(), kColumns, quantised.data());
  const auto four = folded ? product_folded_exactly<4> : product_packed_exactly<4>;
  const auto eight = folded ? product_folded_exactly<8> : product_packed_exactly<8>;
  (type == DType::kPacked4 ? four : eight)(w.data(), panel, quantised.data(), quantised.size(), c.data(), c.size(),
                                           nullptr, kLanes, kRows, kColumns);
  std::vector<double> want(c.size()), got(c.begin(), c.end());
  std::vector<float> row(kColumns);
  for (size_t r = 0; r < kRows; ++r) {
    tensor::unpack_row({type, w.data(), kRows, kColumns, panel}, r, row.data());
    for (size_t i = 0; i < kColumns; ++i)
      for (size_t lane = 0; lane < kLanes; ++lane)
        want[r * kLanes + lane] += double{row[i]} * double{x[i * kLanes + lane]};
  }
  return relative_error(got, want);
}

TEST(FoldedReference, costs_no_more_than_the_quantisation_of_a_whole_row_of_activations) {
  EXPECT_LT(error_of(DType::kPacked4, false), 0.0065);
  EXPECT_LT(error_of(DType::kPacked4, true), 0.0100);
  EXPECT_LT(error_of(DType::kPacked8, false), 0.0065);
  EXPECT_LT(error_of(DType::kPacked8, true), 0.0100);
}

}  // namespace
}  // namespace dgemma::kernels::testing
