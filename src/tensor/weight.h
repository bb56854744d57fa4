// Weight: a matrix of parameters as the products read it: row-major [rows, cols], mapped or owned.
//
// f32 and bf16 are multiplied as they lie; f16 and the block formats are decoded a few rows at a time (ops/product.h);
// packed weights (tensor/packed.h) are panels of 16 rows and are multiplied in integers. All of them can be multiplied
// in bf16 instead (ops/bf16_product.h). Rows are outputs and columns
// are summed over, as in torch's nn.Linear. Not an owner: the model keeps the file mapped (or the expanded copy) for as
// long as its weights are used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "tensor/dtype.h"
#include "tensor/packed_layout.h"

namespace dgemma::tensor {

/// How products with a weight are computed.
enum class Arithmetic : uint8_t {
  kF32,   ///< activations in f32, weights exactly
  kBF16,  ///< both rounded to bf16, sums in f32; any type, packed ones too
  kInt8,  ///< packed weights, activations of 8 bits
};

struct Weight {
  DType dtype = DType::kF32;  ///< a floating-point type, a block format (cols is whole blocks) or a packed type
  const void* data = nullptr;
  size_t rows = 0;             ///< N
  size_t cols = 0;             ///< K
  size_t panel_stride = 0;     ///< packed types: bytes from one panel of 16 rows to the next
  bool bf16_products = false;  ///< multiply in bf16 whatever the type is

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
  Arithmetic arithmetic() const {
    return bf16_products ? Arithmetic::kBF16 : packed() ? Arithmetic::kInt8 : Arithmetic::kF32;
  }
  /// Rows first .. first + count - 1 as a matrix of their own: a part of a fused weight, one expert of a stack. Of a
  /// packed matrix whole panels only.
  Weight row_range(size_t first, size_t count) const {
    DG_CHECK(first + count <= rows, first, "+", count, " of ", rows);
    if (!packed()) return {dtype, row(first), count, cols, 0, bf16_products};
    DG_CHECK(first % kPanelRows == 0, "row ", first, " does not begin a panel");
    const std::byte* panel = static_cast<const std::byte*>(data) + first / kPanelRows * panel_stride;
    return {dtype, panel, count, cols, panel_stride, bf16_products};
  }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace dgemma::tensor
