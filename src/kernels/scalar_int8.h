// The reference integer kernels: those of the scalar table, which table.h describes, and the folded ones.
//
// Folded products are for hardware whose integer step spans a whole superblock of 64 columns (AMX tiles): leaving the
// integers after 32 columns, as the exact products do, costs it several times what multiplying does. So a row's scales
// are folded into its codes, fold by fold of 256 columns (the last fold of a row may be shorter), and activations have
// one scale for a fold:
//     largest = max(|scale g|) over the fold's groups, ratio g = nearest integer of scale g * (U / largest), 0 where
//               largest is 0
//     folded  = (code * ratio g + U' / 2) / U' rounded down, at most 127
//     c       = fma(float(sum over 256 columns of folded * value) * activations' scale, row scale, c)
// 4 bits: U = 120, U' = 8, row scale = largest / 15: the group with the largest scale is exact (15 * code), the others
// within half a step of 15 a code. 8 bits: U = U' = 128, row scale = largest. In f32 and in this order, folds
// ascending; the sums are exact, in f32 too. So the result for one row depends on that row only, and every
// implementation has the same bits. Where all scales of a fold are equal, weights are exact.
#pragma once

#include "kernels/tables.h"

namespace dgemma::kernels {

void quantise_exactly(const float* x, size_t features, float* out);
/// The same with one scale for 256 features, in the places of all of them.
void quantise_by_fold_exactly(const float* x, size_t features, float* out);
/// As KernelTable::product_packed4 and 8, folded; x: blocks of quantise_by_fold_exactly. Lanes past `tokens` are
/// left alone.
template <int kBits>
void product_folded_exactly(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c,
                            size_t c_stride, const float* scale, size_t tokens, size_t n, size_t k);
template <int kBits>
void row_scales_exactly(const uint8_t* w, size_t panel_stride, size_t panels, size_t k, float* row_scale);
template <int kBits>
void transpose_packed_exactly(const uint8_t* w, size_t panel_stride, size_t panels, const float* row_scale,
                              uint8_t* out, size_t out_stride);

}  // namespace dgemma::kernels
