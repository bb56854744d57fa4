// Weight: a matrix of parameters as the products read it: row-major [rows, cols], mapped or owned.
//
// f32 and bf16 are multiplied as they lie; f16 and the block formats are decoded a few rows at a time (ops/product.h).
// Rows are outputs and columns are summed over, as in torch's nn.Linear. Not an owner: the model keeps the file mapped
// (or the expanded copy) for as long as its weights are used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "tensor/dtype.h"

namespace dgemma::tensor {

struct Weight {
  DType dtype = DType::kF32;  ///< a floating-point type or a block format; cols is whole blocks
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
  size_t row_bytes() const { return cols / info(dtype).block_values * info(dtype).block_bytes; }
  size_t bytes() const { return rows * row_bytes(); }
  const std::byte* row(size_t index) const { return static_cast<const std::byte*>(data) + index * row_bytes(); }
  /// True where a product reads the rows as they are.
  bool is_direct() const { return dtype == DType::kF32 || dtype == DType::kBF16; }
  /// Rows first .. first + count - 1 as a matrix of their own: a part of a fused weight, one expert of a stack.
  Weight row_range(size_t first, size_t count) const {
    DG_CHECK(first + count <= rows, first, "+", count, " of ", rows);
    return {dtype, row(first), count, cols};
  }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace dgemma::tensor
