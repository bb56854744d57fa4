// Random matrices for the tests of ops, put into lane blocks.
#pragma once

#include <random>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/blocks.h"
#include "tensor/weight.h"

namespace dgemma::ops {

inline std::vector<float> random_values(size_t count, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(count);
  for (float& v : values) v = normal(generator);
  return values;
}

/// Rows [rows, features] put into lane blocks; padding lanes stay zero.
inline tensor::BlockMatrix to_blocks(const std::vector<float>& values, size_t rows, size_t features) {
  tensor::BlockMatrix m(rows, features);
  for (size_t r = 0; r < rows; ++r)
    for (size_t d = 0; d < features; ++d) m.view().at(r, d) = values[r * features + d];
  return m;
}

inline tensor::Weight weight(const std::vector<float>& values, size_t rows, size_t cols) {
  return {tensor::DType::kF32, values.data(), rows, cols};
}

/// Table that a test runs with: the best of this machine.
inline const kernels::KernelTable& best_table() { return *kernels::available().back(); }

}  // namespace dgemma::ops
