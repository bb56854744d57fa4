// Operations in bf16 against the same operations in f32 on rounded numbers, and the promise that no row's result
// depends on its neighbours or on the number of threads.
#include "ops/bf16_product.h"

#include <gtest/gtest.h>

#include "ops/random.h"
#include "ops/rows.h"
#include "tensor/packed.h"
#include "tensor/quant/quant.h"

namespace dgemma::ops {
namespace {

using tensor::DType;

/// The relative error of one number rounded to 8 bits, root mean square: a uniform error of up to 2^-9 in 1 .. 2.
constexpr double kRoundingError = 0.0017;

std::vector<float> rounded(std::vector<float> values) {
  for (float& v : values) v = tensor::bf16_to_float(tensor::float_to_bf16(v));
  return values;
}

Weight in_bf16(Weight w) {
  w.bf16_products = true;
  return w;
}

TEST(Bf16Product, is_the_f32_product_of_rounded_numbers) {
  const size_t rows = 70, n = 150;
  for (const size_t d : {200, 77}) {  // an odd number of columns ends in half a pair
    const auto w = random_values(n * d, 1, 0.1f), x = random_values(rows * d, 2);
    const auto w_rounded = rounded(w);
    const BlockMatrix got(rows, n), want(rows, n), exact(rows, n);
    Exec exec(best_table(), 2);
    product(exec, in_bf16(weight(w, n, d)), to_blocks(x, rows, d).view(), got.view());
    product(exec, weight(w_rounded, n, d), to_blocks(rounded(x), rows, d).view(), want.view());
    EXPECT_LT(relative_error(got.view(), want.view(), rows), 1e-6) << "only the order of the sums differs";
    product(exec, weight(w, n, d), to_blocks(x, rows, d).view(), exact.view());
    EXPECT_LT(relative_error(got.view(), exact.view(), rows), 2 * kRoundingError);
    EXPECT_GT(relative_error(got.view(), exact.view(), rows), 1e-4) << "was anything rounded at all?";
  }
}

TEST(Bf16Product, of_weights_in_every_stored_type_equals_that_of_their_values_in_bf16) {
  const size_t rows = 19, n = 61, k = 512;
  const auto in = to_blocks(random_values(rows * k, 4), rows, k);
  Exec exec(best_table(), 2);
  const auto expect_equal = [&](const Weight& stored, const std::vector<float>& values) {
    std::vector<uint16_t> half(values.size());
    for (size_t i = 0; i < half.size(); ++i) half[i] = tensor::float_to_bf16(values[i]);
    const BlockMatrix got(rows, n), want(rows, n);
    product(exec, in_bf16(stored), in.view(), got.view());
    product(exec, in_bf16({DType::kBF16, half.data(), n, k}), in.view(), want.view());
    SCOPED_TRACE(tensor::info(stored.dtype).name);
    expect_same_rows(got.view(), want.view(), rows);
  };
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ8_0, DType::kQ4_0, DType::kQ6_K, DType::kIQ4_XS}) {
    std::vector<uint8_t> blocks(tensor::storage_bytes(type, n * k).value());
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<uint8_t>((i * 2654435761u >> 11) & 0x3B);
    std::vector<float> values(n * k);
    tensor::quant::decode(type, reinterpret_cast<const std::byte*>(blocks.data()), n * k, values.data());
    const Weight stored{type, blocks.data(), n, k};
    expect_equal(stored, values);
    if (type != DType::kQ4_0 && type != DType::kQ8_0) continue;
    const DType packed = tensor::packed_type(type);  // the same values in panels
    const size_t panel = tensor::panel_bytes(packed, k);
    std::vector<std::byte> panels(tensor::packed_bytes(packed, n, k));
    for (size_t p = 0; p < tensor::panels_for(n); ++p)
      ASSERT_TRUE(tensor::pack_panel(stored, packed, p * tensor::kPanelRows, panels.data() + p * panel));
    expect_equal({packed, panels.data(), n, k, panel}, values);
  }
}

TEST(Bf16Product, threads_and_neighbours_do_not_change_a_row) {
  const size_t n = 150, d = 200;
  const auto w = random_values(n * d, 1, 0.1f);
  expect_products_to_stand_alone(in_bf16(weight(w, n, d)));
}

struct RoundedExpertCase {
  static constexpr size_t kRows = 90, kD = 72, kWidth = 70, kCount = 6, kUsed = 2;
  std::vector<float> gate = random_values(kCount * kWidth * kD, 2, 0.3f), up = random_values(gate.size(), 3, 0.3f);
  std::vector<float> down = random_values(gate.size(), 4, 0.3f);
  std::vector<float> x = random_values(kRows * kD, 1), scores = random_values(kRows * kCount, 5);

  BlockMatrix run(bool bf16, size_t rows, int threads) const {
    ExpertWeights w{weight(gate, kCount * kWidth, kD),
                    weight(up, kCount * kWidth, kD),
                    kWidth,
                    weight(down, kCount * kD, kWidth),
                    kD,
                    kCount,
                    kWidth,
                    kUsed};
    for (Weight* each : {&w.gate, &w.up, &w.down}) each->bf16_products = bf16;
    return run_experts(w, x, scores, rows, threads);
  }
};

TEST(Bf16Experts, are_the_f32_experts_but_for_the_rounding) {
  const RoundedExpertCase c;
  const BlockMatrix half = c.run(true, RoundedExpertCase::kRows, 2), plain = c.run(false, RoundedExpertCase::kRows, 2);
  EXPECT_LT(relative_error(half.view(), plain.view(), RoundedExpertCase::kRows), 5 * kRoundingError);
}

TEST(Bf16Experts, threads_and_neighbours_do_not_change_a_row) {
  const RoundedExpertCase c;
  expect_same_rows(c.run(true, RoundedExpertCase::kRows, 3).view(), c.run(true, 3, 1).view(), 3);
}

TEST(Bf16Vocabulary, the_share_of_a_tile_is_the_f32_share_but_for_the_rounding) {
  const size_t rows = 40;
  for (const size_t d : {200, 33})
    for (const size_t tokens : {64, 37, 1}) {
      const auto w = random_values(tokens * d, 1, 0.1f);
      auto p = random_values(rows * tokens, 2);
      for (float& v : p) v = std::exp(2 * v);
      const auto start = random_values(rows * d, 3), rescale = random_values(3 * tensor::kLanes, 4);
      const BlockMatrix got = to_blocks(start, rows, d), want = to_blocks(start, rows, d);
      const auto weights = to_blocks(p, rows, tokens);
      Exec exec(best_table(), 1);
      bf16_weighted_sum(exec, 0, in_bf16(weight(w, tokens, d)), weights.view(), rescale.data(), got.view());
      weighted_sum_on_this_thread(exec, weight(w, tokens, d), weights.view(), rescale.data(), want.view());
      EXPECT_LT(relative_error(got.view(), want.view(), rows), 2 * kRoundingError) << tokens << " " << d;
    }
}

TEST(Bf16Vocabulary, decides_like_the_plain_table) {
  const size_t vocab = 1000, features = 96, rows = 80;
  const auto table = random_values(vocab * features, 1, 0.5f), h = random_values(rows * features, 2);
  const Weight plain_table = weight(table, vocab, features);
  const PassResult half = run_pass(in_bf16(plain_table), h, rows, 2), plain = run_pass(plain_table, h, rows, 2);
  size_t same = 0;
  for (size_t r = 0; r < rows; ++r) {
    same += half.predictions[r].best == plain.predictions[r].best;
    EXPECT_NEAR(half.predictions[r].entropy, plain.predictions[r].entropy, 0.03);
  }
  EXPECT_GE(same, rows - 2);
  EXPECT_LT(relative_error(half.soft.view(), plain.soft.view(), rows), 0.02);
}

TEST(Bf16Vocabulary, threads_and_neighbours_do_not_change_a_row) {
  const auto table = random_values(777 * 40, 1, 0.5f);
  expect_passes_to_stand_alone(in_bf16(weight(table, 777, 40)));
}

}  // namespace
}  // namespace dgemma::ops
