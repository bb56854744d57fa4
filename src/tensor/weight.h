// Weight: a matrix of parameters as the products read it: row-major [rows, cols], mapped or owned.
//
// f32 and bf16 are multiplied as they lie; f16 and the block formats are decoded a few rows at a time (ops/product.h);
// packed weights (tensor/packed.h) are panels of 16 rows and are multiplied in integers. Rows are outputs and columns
// are summed over, as in torch's nn.Linear. Not an owner: the model keeps the file mapped (or the expanded copy) for as
// long as its weights are used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "tensor/dtype.h"
#include "tensor/packed_layout.h"

namespace dgemma::tensor {

struct Weight {
  DType dtype = DType::kF32;  ///< a floating-point type, a block format (cols is whole blocks) or a packed type
  const void* data = nullptr;
  size_t rows = 0;          ///< N
  size_t cols = 0;          ///< K
  size_t panel_stride = 0;  ///< packed types: bytes from one panel of 16 rows to the next

  const float* f32(size_t row = 0) const {
    DG_CHECK(dtype == DType::kF32);
    return static_cast<const float*>(data) + row * cols;
  }
  const uint16_t* bf16(size_t row = 0) const {
    DG_CHECK(dtype == DType::kBF16);
    return static_cast<const uint16_t*>(data) + row * cols;
  }
  /// Of a type that is not packed.
  size_t row_bytes() const { return cols / info(dtype).block_values * info(dtype).block_bytes; }
  const std::byte* row(size_t index) const { return static_cast<const std::byte*>(data) + index * row_bytes(); }
  /// True where a product reads the rows as they are.
  bool is_direct() const { return dtype == DType::kF32 || dtype == DType::kBF16; }
  bool packed() const { return is_packed(dtype); }
  /// Rows first .. first + count - 1 as a matrix of their own: a part of a fused weight, one expert of a stack. Of a
  /// packed matrix whole panels only.
  Weight row_range(size_t first, size_t count) const {
    DG_CHECK(first + count <= rows, first, "+", count, " of ", rows);
    if (!packed()) return {dtype, row(first), count, cols};
    DG_CHECK(first % kPanelRows == 0, "row ", first, " does not begin a panel");
    return {dtype, static_cast<const std::byte*>(data) + first / kPanelRows * panel_stride, count, cols, panel_stride};
  }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace dgemma::tensor
