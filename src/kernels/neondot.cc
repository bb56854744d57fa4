// The integer kernels for AArch64 with the dot product instructions; everything else is the neon table.
//
// Only the instruction set is here; the kernels are in lanes_int8.inc. No standard library in this file: it is built
// with -m flags. Tests: tests/kernels/packed_test.cc, which runs every table.
#include <arm_neon.h>

#define DG_WIDTH 4
#define DG_SET1(s) vdupq_n_f32(s)
#define DG_FMA(a, b, c) vfmaq_f32(c, a, b)
#define DG_DOT_SIGNED(sum, w, x) (I) vdotq_s32((int32x4_t)(sum), (int8x16_t)(w), (int8x16_t)(x))
#define DG_INT8_ROWS_1 4  // 16 sums, 4 of x, a weight: 21 of 32 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_FEW_TOKENS 4
#define DG_INT8_FEW_PANELS 1
#include "kernels/lanes_types.inc"

#include "kernels/lanes_int8.inc"

namespace dgemma::kernels {

const KernelTable* neondot_table() {
  static const KernelTable table = [] {
    KernelTable t = *neon_table();
    t.name = "neondot";
    t.quantise = quantise;
    t.product_packed4 = product_packed<4>;
    t.product_packed8 = product_packed<8>;
    t.transpose_packed4 = transpose_packed<4>;
    t.transpose_packed8 = transpose_packed<8>;
    return t;
  }();
  return &table;
}

}  // namespace dgemma::kernels
