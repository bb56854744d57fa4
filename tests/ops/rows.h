// Comparing rows, and a vocabulary pass to compare: for tests of operations that are not in f32.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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
  EXPECT_TRUE(vocabulary_pass(exec, {table, table, 30.0f, 1.0f},
                              {hidden.view(), inverse, uniform, want, run.predictions, run.soft.view()}, space));
  return run;
}

}  // namespace dgemma::ops
