// Packing: matrices into the layout of packed_layout.h and back, a panel or a row at a time.
//
// Q4_0 to 4 bits and Q8_0 to 8 bits keep codes and scales: exact. Everything else is decoded and rounded with a scale
// for 32 columns. 8 bits: an error of at most half a step, scale / 2 <= largest / 253 of those 32 values (the scale is
// rounded up to an f16, so that nothing is cut off). 4 bits: the scale with the least squared error is searched for
// (four_bits.h), which is that of Q4_0's rule at most: half a step of largest / 8 a value, and a whole one for values
// near the largest one's magnitude and of the other sign. Test: tests/tensor/packed_test.cc.
#pragma once

#include <cstddef>

#include "tensor/packed_layout.h"
#include "tensor/weight.h"

namespace dgemma::tensor {

/// What a stored type becomes where nothing else is asked for: what is 4 bits stays so, the rest 8. Packed types stay
/// what they are.
DType packed_type(DType stored);

constexpr size_t panels_for(size_t rows) { return (rows + kPanelRows - 1) / kPanelRows; }
/// Bytes of a panel of `cols` columns. Requires a packed type.
size_t panel_bytes(DType packed, size_t cols);
/// A whole matrix, panels side by side.
inline size_t packed_bytes(DType packed, size_t rows, size_t cols) {
  return panels_for(rows) * panel_bytes(packed, cols);
}

/// Packs rows first .. first + 15 of `w` (those that there are) to `packed` bits, into one panel of panel_bytes(packed,
/// w.cols) bytes. False where a value is not finite or beyond 8e6 (4 bits: 5e5), which an f16 scale cannot hold.
/// Requires a type that quant::can_decode takes. Threads: pure; takes 256 floats of stack and none of heap.
[[nodiscard]] bool pack_panel(const Weight& w, DType packed, size_t first, std::byte* panel);

/// Row `row` of a packed matrix as w.cols floats: scale * (code - offset), exact in f32.
void unpack_row(const Weight& w, size_t row, float* out);

}  // namespace dgemma::tensor
