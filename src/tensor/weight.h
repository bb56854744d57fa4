// Weight: a matrix of parameters as the products read it: row-major [rows, cols], f32 or bf16, mapped or owned.
//
// Rows are outputs and columns are summed over, as in torch's nn.Linear. Not an owner: the model keeps the file mapped
// (or the expanded copy) for as long as its weights are used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "tensor/dtype.h"

namespace dgemma::tensor {

struct Weight {
  DType dtype = DType::kF32;  ///< kF32 or kBF16
  const void* data = nullptr;
  size_t rows = 0;  ///< N
  size_t cols = 0;  ///< K

  const float* f32(size_t row = 0) const {
    DG_CHECK(dtype == DType::kF32);
    return static_cast<const float*>(data) + row * cols;
  }
  const uint16_t* bf16(size_t row = 0) const {
    DG_CHECK(dtype == DType::kBF16);
    return static_cast<const uint16_t*>(data) + row * cols;
  }
  size_t bytes() const { return rows * cols * info(dtype).block_bytes; }
  /// Rows first .. first + count - 1 as a matrix of their own: a part of a fused weight, one expert of a stack.
  Weight row_range(size_t first, size_t count) const {
    DG_CHECK(first + count <= rows, first, "+", count, " of ", rows);
    const auto* start = static_cast<const char*>(data) + first * cols * info(dtype).block_bytes;
    return {dtype, start, count, cols};
  }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace dgemma::tensor
