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
//
// The folded weighted sum, likewise: rows are the depth here, so each row has one scale and the codes of all its columns
// are folded to it; the scale goes to the probabilities, which are not negative and have one scale for 256 rows:
//     ratio g = nearest integer of scale g * (2^15 / unit / row scale), unit = 16 with 4 bits, 1 with 8
//     folded  = (256 * unit * code * ratio g / 2^15 to the nearest + 128) / 256 rounded down
//     value   = p * row scale * (255 / largest of the run) to the nearest
//     c       = fma(float(sum over the run's rows of folded * value), largest / 255, c)
// A code is within half a step and a 512th of its row's largest, a probability within half a 255th of the run's: no
// more in the mean square than a 127th of each 64 rows' own largest, since that of one of the four is the run's.
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
void quantise_probabilities_exactly(const float* p, const float* row_scale, size_t v, float* out);
void rescale_probabilities_exactly(float* prepared, const float* factor, size_t v);
template <int kBits>
void weighted_sum_packed_exactly(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p,
                                 size_t p_stride, float* c, size_t c_stride, const float* scale, size_t blocks,
                                 size_t n, size_t v);
/// In steps of a 255th of a run's largest: the bytes are unsigned, a run's scale stands in the places of all its groups'.
void quantise_probabilities_by_run(const float* p, const float* row_scale, size_t v, float* out);
template <int kBits>
void weighted_sum_folded_exactly(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p,
                                 size_t p_stride, float* c, size_t c_stride, const float* scale, size_t blocks,
                                 size_t n, size_t v);
template <int kBits>
void row_scales_exactly(const uint8_t* w, size_t panel_stride, size_t panels, size_t k, float* row_scale);
template <int kBits>
void transpose_packed_exactly(const uint8_t* w, size_t panel_stride, size_t panels, const float* row_scale,
                              uint8_t* out, size_t out_stride);

}  // namespace dgemma::kernels
