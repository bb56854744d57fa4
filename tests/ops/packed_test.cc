// Operations on packed weights against the same operations on the same weights unpacked to f32: what integers add is
// the quantisation of activations, and no row's result depends on its neighbours or on the number of threads.
#include "tensor/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/packed_vocabulary.h"
#include "ops/prepared_product.h"
#include "ops/random.h"
#include "ops/rows.h"
#include "ops/vocabulary.h"

namespace dgemma::ops {
namespace {

using tensor::Arithmetic;
using tensor::BlockMatrix;
using tensor::DType;
using tensor::Weight;

/// A packed matrix and the values that it stands for.
struct PackedMatrix {
  std::vector<std::byte> bytes;
  std::vector<float> values;
  Weight packed, plain;

  /// `stack` matrices of rows / stack rows, each in whole panels.
  PackedMatrix(const std::vector<float>& source, size_t rows, size_t cols, size_t stack = 1) : values(rows * cols) {
    const size_t each = rows / stack, panels = tensor::panels_for(each),
                 panel = tensor::panel_bytes(DType::kPacked8, cols);
    bytes.resize(stack * panels * panel);
    packed = {DType::kPacked8, bytes.data(), stack * panels * tensor::kPanelRows, cols, panel};
    for (size_t i = 0; i < stack; ++i)
      for (size_t p = 0; p < panels; ++p)
        EXPECT_TRUE(tensor::pack_panel({DType::kF32, source.data() + i * each * cols, each, cols}, DType::kPacked8,
                                       p * tensor::kPanelRows, bytes.data() + (i * panels + p) * panel));
    for (size_t r = 0; r < rows; ++r)
      tensor::unpack_row(packed, r / each * panels * tensor::kPanelRows + r % each, values.data() + r * cols);
    if (stack == 1) packed.rows = rows;
    plain = weight(values, rows, cols);
  }
};

// 8-bit activations by 32: a uniform error of a 254th of the group's largest (about 2.2 deviations of 32 normal values,
// 3 at most in the mean): 3 / 254 / sqrt(3) = 0.0068. Tables that fold (amx): by 256, and the weights' scales too.
double activation_error() { return best_table().quantised_together > tensor::kSuperblock ? 0.012 : 0.0075; }

TEST(PackedProduct, is_the_plain_product_but_for_the_activations_eight_bits) {
  const size_t rows = 70, d = 200, n = 150;
  const PackedMatrix w(random_values(n * d, 1, 0.1f), n, d);
  const auto x = to_blocks(random_values(rows * d, 2), rows, d);
  const BlockMatrix got(rows, n), want(rows, n);
  Exec exec(best_table(), 2);
  product(exec, w.packed, x.view(), got.view());
  product(exec, w.plain, x.view(), want.view());
  EXPECT_LT(relative_error(got.view(), want.view(), rows), activation_error());
  EXPECT_GT(relative_error(got.view(), want.view(), rows), 0.001) << "were integers used at all?";
}

TEST(PackedProduct, threads_and_neighbours_do_not_change_a_row) {
  const size_t n = 150, d = 200;
  expect_products_to_stand_alone(PackedMatrix(random_values(n * d, 1, 0.1f), n, d).packed);
}

TEST(PackedProduct, gate_and_up_whose_panels_take_turns_are_as_those_that_lie_apart) {
  const size_t n = 150, d = 200;
  const PackedMatrix gate(random_values(n * d, 1, 0.1f), n, d), up(random_values(n * d, 2, 0.1f), n, d);
  const size_t panel = gate.packed.panel_stride;
  std::vector<std::byte> both;
  for (size_t at = 0; at < gate.bytes.size(); at += panel)
    for (const PackedMatrix* m : {&gate, &up}) both.insert(both.end(), &m->bytes[at], &m->bytes[at] + panel);
  const Weight first{DType::kPacked8, both.data(), n, d, 2 * panel};
  const Weight second{DType::kPacked8, both.data() + panel, n, d, 2 * panel};
  for (const size_t rows : {3, 70})
    for (const Arithmetic next : {Arithmetic::kF32, Arithmetic::kInt8}) {
      Exec exec(best_table(), 2);
      const auto x = to_blocks(random_values(rows * d, 3), rows, d);
      std::vector<float> memory(prepared_floats(Arithmetic::kInt8, x.view()) + tensor::kLanes);
      auto* aligned = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
      const auto input = prepare(exec, Arithmetic::kInt8, x.view(), aligned);
      const BlockMatrix got(rows, prepared_features(next, n)), want(rows, prepared_features(next, n));
      gated_product(exec, first, second, input, next, got.view(), rows);
      gated_product(exec, gate.packed, up.packed, input, next, want.view(), rows);
      const tensor::Blocks a = got.view(), b = want.view();
      for (size_t row = 0; row < rows; ++row)
        for (size_t i = 0; i < a.features; ++i)
          ASSERT_EQ(std::memcmp(&a.at(row, i), &b.at(row, i), sizeof(float)), 0) << row << ' ' << i;
    }
}

struct PackedExpertCase {
  static constexpr size_t kRows = 90, kD = 72, kWidth = 40, kCount = 6, kUsed = 2;
  PackedMatrix gate{random_values(kCount * kWidth * kD, 2, 0.3f), kCount* kWidth, kD, kCount};
  PackedMatrix up{random_values(kCount * kWidth * kD, 3, 0.3f), kCount* kWidth, kD, kCount};
  PackedMatrix down{random_values(kCount * kD * kWidth, 4, 0.3f), kCount* kD, kWidth, kCount};
  std::vector<float> x = random_values(kRows * kD, 1), scores = random_values(kRows * kCount, 5);

  BlockMatrix run(bool packed, size_t rows, int threads) const {
    const ExpertWeights w = packed ? ExpertWeights{gate.packed, up.packed, 48, down.packed, 80, kCount, kWidth, kUsed}
                                   : ExpertWeights{gate.plain, up.plain, kWidth, down.plain, kD, kCount, kWidth, kUsed};
    return run_experts(w, x, scores, rows, threads);
  }
};

TEST(PackedExperts, are_the_plain_experts_but_for_eight_bits) {
  const PackedExpertCase c;
  const BlockMatrix packed = c.run(true, PackedExpertCase::kRows, 2), plain = c.run(false, PackedExpertCase::kRows, 2);
  EXPECT_LT(relative_error(packed.view(), plain.view(), PackedExpertCase::kRows), 3 * activation_error());
}

TEST(PackedExperts, threads_and_neighbours_do_not_change_a_row) {
  const PackedExpertCase c;
  expect_same_rows(c.run(true, PackedExpertCase::kRows, 3).view(), c.run(true, 3, 1).view(), 3);
}

TEST(PackedVocabulary, the_share_of_some_rows_is_within_two_percent) {
  const size_t d = 200, rows = 40, run = kernels::kSummedRun;
  for (const size_t tokens : {600, 256, 64, 37, 5}) {
    const PackedMatrix w(random_values(tokens * d, 1, 0.1f), tokens, d);
    auto p = random_values(rows * tokens, 2);
    for (float& v : p) v = std::exp(2 * v);
    const auto start = to_blocks(random_values(rows * d, 3), rows, d);
    const auto weights = to_blocks(p, rows, tokens);
    const BlockMatrix got(rows, d), want(rows, d);
    std::copy_n(start.view().data, 3 * d * tensor::kLanes, got.view().data);
    std::copy_n(start.view().data, 3 * d * tensor::kLanes, want.view().data);
    std::vector<float> rescale(3 * tensor::kLanes, 1.0f);
    std::fill_n(rescale.begin(), tensor::kLanes, 0.25f);
    Exec exec(best_table(), 1);
    PackedWeightedSum sum(exec, 0, w.packed, 3);
    for (size_t first = 0; first < tokens; first += run) {  // the maximum rises from run to run
      const size_t count = std::min(run, tokens - first);
      const float half[16] = {.5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f};
      const float later = std::ldexp(1.0f, static_cast<int>((tokens - 1) / run - first / run));
      sum.begin_run(first, count);
      for (size_t b = 0; b < 3; ++b) {
        std::vector<float> values(weights.view().block(b) + first * 16, weights.view().block(b) + (first + count) * 16);
        const tensor::BlockMatrix z(1, count);
        for (size_t i = 0; i < values.size(); ++i) z.view().data[i] = values[i] * later;
        sum.rescale(b, first, half);
        sum.put(b, first, z.view().data, count);
      }
    }
    sum.add_to(got.view(), rescale.data());
    weighted_sum_on_this_thread(exec, w.plain, weights.view(), rescale.data(), want.view());
    EXPECT_LT(relative_error(got.view(), want.view(), rows), 0.016) << tokens;
  }
}

TEST(PackedVocabulary, decides_like_the_plain_table) {
  const size_t vocab = 1000, features = 96, rows = 80;
  const PackedMatrix table(random_values(vocab * features, 1, 0.5f), vocab, features);
  const auto h = random_values(rows * features, 2);
  const PassResult packed = run_pass(table.packed, h, rows, 2), plain = run_pass(table.plain, h, rows, 2);
  size_t same = 0;
  for (size_t r = 0; r < rows; ++r) {
    same += packed.predictions[r].best == plain.predictions[r].best;
    EXPECT_NEAR(packed.predictions[r].entropy, plain.predictions[r].entropy, 0.1);
  }
  EXPECT_GE(same, rows - 4);
  EXPECT_LT(relative_error(packed.soft.view(), plain.soft.view(), rows), 0.05);
}

TEST(PackedVocabulary, threads_and_neighbours_do_not_change_a_row) {
  expect_passes_to_stand_alone(PackedMatrix(random_values(777 * 40, 1, 0.5f), 777, 40).packed);
}

}  // namespace
}  // namespace dgemma::ops
