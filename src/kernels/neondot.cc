// The integer kernels for AArch64 with the dot product instructions; everything else is the neon table.
//
// Only the instruction set is here; the kernels are in lanes_int8.inc, the table in lanes_int8_table.inc. No standard
// library in this file: it is built with -m flags. Tests: tests/kernels/packed_test.cc, which runs every table.
#include <arm_neon.h>

#define DG_WIDTH 4
#define DG_SET1(s) vdupq_n_f32(s)
#define DG_FMA(a, b, c) vfmaq_f32(c, a, b)
#define DG_DOT_SIGNED(sum, w, x) (I) vdotq_s32((int32x4_t)(sum), (int8x16_t)(w), (int8x16_t)(x))
#define DG_INT8_ROWS_1 4  // 16 sums, 4 of x, a weight: 21 of 32 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_FEW_TOKENS 4
#define DG_INT8_FEW_PANELS 1
#define DG_INT8_DIRECT_TOKENS 2
#define DG_NAME "neondot"
#define DG_GETTER neondot_table
#define DG_BASE_GETTER neon_table
#include "kernels/lanes_int8_table.inc"
