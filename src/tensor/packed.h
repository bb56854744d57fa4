// Packing: matrices into the layout of packed_layout.h and back, a panel or a row at a time.
//
// Q4_0 becomes 4 bits and Q8_0 becomes 8 bits with the same codes and scales: exact. Everything else is decoded and
// becomes 8 bits with a scale for 32 columns: an error of at most half a step, scale / 2 <= largest / 253 of those 32
// values (the scale is rounded up to an f16, so that nothing is cut off). Test: tests/tensor/packed_test.cc.
#pragma once

#include <cstddef>

#include "tensor/packed_layout.h"
#include "tensor/weight.h"

namespace dgemma::tensor {

/// What a stored type becomes: kPacked4 or kPacked8. Packed types stay what they are.
DType packed_type(DType stored);

constexpr size_t panels_for(size_t rows) { return (rows + kPanelRows - 1) / kPanelRows; }
/// Bytes of a panel of `cols` columns. Requires a packed type.
size_t panel_bytes(DType packed, size_t cols);
/// A whole matrix, panels side by side.
inline size_t packed_bytes(DType packed, size_t rows, size_t cols) {
  return panels_for(rows) * panel_bytes(packed, cols);
}

/// Packs rows first .. first + 15 of `w` (those that there are) into one panel of panel_bytes(packed_type(w.dtype),
/// w.cols) bytes. False where a value is not finite or beyond 8e6, which 8 bits with an f16 scale cannot hold.
/// Requires a type that quant::can_decode takes. Threads: pure; takes 64 floats of stack and none of heap.
[[nodiscard]] bool pack_panel(const Weight& w, size_t first, std::byte* panel);

/// Row `row` of a packed matrix as w.cols floats: scale * (code - offset), exact in f32.
void unpack_row(const Weight& w, size_t row, float* out);

}  // namespace dgemma::tensor
