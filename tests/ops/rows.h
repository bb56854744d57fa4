// Comparing rows, and products, experts and vocabulary passes to compare: for tests of operations that are not in f32.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "ops/experts.h"
#include "ops/prepared_product.h"
#include "ops/product.h"
#include "ops/random.h"
#include "ops/vocabulary.h"

namespace dgemma::ops {

using tensor::BlockMatrix;
using tensor::Weight;

/// Root mean square of a - b over that of b, over the listed rows.
inline double relative_error(tensor::ConstBlocks a, tensor::ConstBlocks b, size_t rows) {
  double error = 0, size = 0;
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < b.features; ++i) {
      error += std::pow(double{a.at(r, i)} - b.at(r, i), 2);
      size += std::pow(double{b.at(r, i)}, 2);
    }
  return std::sqrt(error / size);
}

inline void expect_same_rows(tensor::ConstBlocks a, tensor::ConstBlocks b, size_t rows) {
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < a.features; ++i) ASSERT_EQ(a.at(r, i), b.at(r, i)) << r << " " << i;
}

/// gelu(gate x) * (up x) in f32, x prepared for the weights.
inline void gated(Exec& exec, const Weight& gate, const Weight& up, tensor::ConstBlocks x, tensor::Blocks out,
                  size_t rows = tensor::kAllRows) {
  const tensor::AlignedBuffer<float> memory(prepared_floats(gate.arithmetic(), x));
  const auto input = prepare(exec, gate.arithmetic(), x, memory.data());
  gated_product(exec, gate, up, input, tensor::Arithmetic::kF32, out, rows);
}

/// Products of the same row with other neighbours and threads are equal.
inline void expect_products_to_stand_alone(const Weight& weights) {
  const size_t rows = 70, d = weights.cols, n = weights.rows;
  const auto values = random_values(rows * d, 2);
  const auto all = to_blocks(values, rows, d);
  const BlockMatrix a(rows, n), together(rows, n);
  Exec three(best_table(), 3), one(best_table(), 1);
  product(three, weights, all.view(), a.view());
  gated(three, weights, weights, all.view(), together.view());
  for (const size_t few_rows : {1, 4, 5, 17}) {
    const auto few = to_blocks(values, few_rows, d);
    const BlockMatrix b(few_rows, n);
    product(one, weights, few.view(), b.view(), few_rows);
    expect_same_rows(a.view(), b.view(), few_rows);
    gated(one, weights, weights, few.view(), b.view(), few_rows);
    expect_same_rows(together.view(), b.view(), few_rows);
  }
}

/// choose_experts, experts and their sums.
inline void choose_and_sum(Exec& exec, const ExpertWeights& w, tensor::ConstBlocks x, tensor::ConstBlocks scores,
                           std::span<const uint32_t> rows, const float* scale, Assignment& a, tensor::Blocks out) {
  const tensor::AlignedBuffer<float> memory(prepared_floats(w.arithmetic(), x));
  ExpertWorkspace space;
  choose_experts(exec, scores, rows, scale, w.used, a);
  experts(exec, w, prepare(exec, w.arithmetic(), x, memory.data()), rows, a, space);
  for (size_t b = 0; b < out.blocks; ++b) sum_of_experts(exec, 0, a, w.used, space, b, out.block(b));
}

/// The first `rows` rows of x [.., D], sent to the experts that their scores [.., count] choose.
inline BlockMatrix run_experts(const ExpertWeights& w, const std::vector<float>& x, const std::vector<float>& scores,
                               size_t rows, int threads) {
  const size_t d = w.gate.cols;
  std::vector<uint32_t> valid(rows);
  std::iota(valid.begin(), valid.end(), 0u);
  const std::vector<float> scale(w.experts, 1.0f);
  BlockMatrix out(rows, d);
  Assignment a;
  Exec exec(best_table(), threads);
  choose_and_sum(exec, w, to_blocks(x, rows, d).view(), to_blocks(scores, rows, w.experts).view(), valid, scale.data(),
                 a, out.view());
  return out;
}

/// What a vocabulary pass over a tied table decides for rows of hidden states h.
struct PassResult {
  std::vector<RowPrediction> predictions;
  BlockMatrix soft;
};

inline PassResult run_pass(const Weight& table, const std::vector<float>& h, size_t rows, int threads) {
  const size_t features = table.cols, blocks = tensor::blocks_for(rows);
  PassResult run{std::vector<RowPrediction>(blocks * 16), BlockMatrix(rows, features)};
  const auto hidden = to_blocks(h, rows, features);
  const std::vector<float> inverse(blocks, 1.5f);
  const std::vector<uint8_t> want(blocks, 1);
  const std::vector<double> uniform(blocks * 16, 0.3);
  VocabularyWorkspace space;
  Exec exec(best_table(), threads);
  VocabularyQuery query{hidden.view(), inverse, uniform, want, run.predictions, run.soft.view()};
  query.rows = rows;
  EXPECT_TRUE(vocabulary_pass(exec, {table, table, 30.0f, 1.0f}, query, space));
  return run;
}

/// Decisions and soft embeddings of the same row with other neighbours and threads are equal.
inline void expect_passes_to_stand_alone(const Weight& table) {
  const size_t rows = 150;
  const auto h = random_values(rows * table.cols, 2);
  for (const int threads : {3, 17}) {  // with 17, fewer blocks walk the table together
    const PassResult a = run_pass(table, h, rows, threads);
    for (const size_t few_rows : {1, 5}) {
      const PassResult b = run_pass(table, h, few_rows, 1);
      for (size_t r = 0; r < few_rows; ++r) {
        EXPECT_EQ(a.predictions[r].best, b.predictions[r].best);
        EXPECT_EQ(a.predictions[r].sample, b.predictions[r].sample);
        EXPECT_EQ(a.predictions[r].entropy, b.predictions[r].entropy);
      }
      expect_same_rows(a.soft.view(), b.soft.view(), few_rows);
    }
  }
}

}  // namespace dgemma::ops
