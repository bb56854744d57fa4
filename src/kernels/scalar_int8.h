// The reference integer kernels, for the scalar table. What they compute is said in table.h.
#pragma once

#include "kernels/tables.h"

namespace dgemma::kernels {

void quantise_exactly(const float* x, size_t features, float* out);
template <int kBits>
void transpose_packed_exactly(const uint8_t* w, size_t panel_stride, size_t panels, size_t k, uint8_t* out,
                              float* row_scale);

}  // namespace dgemma::kernels
