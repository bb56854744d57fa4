// The kernels for AArch64: registers of 4 floats, 32 of them.
//
// Only the instruction set is here; the kernels are in lanes.inc. No standard library in this file either: it is
// written like the files that are built with -m flags. Tests: tests/kernels/*, which run every table;
// scripts/test-aarch64.
#include <arm_neon.h>

#define DG_WIDTH 4
#define DG_SET1(s) vdupq_n_f32(s)
#define DG_FMA(a, b, c) vfmaq_f32(c, a, b)
#define DG_SQRT(a) vsqrtq_f32(a)
#define DG_LOW_DOUBLES(a) vcvt_f64_f32(vget_low_f32(a))
#define DG_HIGH_DOUBLES(a) vcvt_high_f64_f32(a)
#define DG_SET1_DOUBLES(s) vdupq_n_f64(s)
#define DG_FMA_DOUBLES(a, b, c) vfmaq_f64(c, a, b)
#define DG_DOUBLE_ROWS 12  // 24 sums, 2 of x, a weight: 27 of 32 registers
#define DG_MAX_BLOCKS 1
#define DG_ROWS_1 6  // 24 sums, 4 of x, a weight: 29 of 32 registers
// |w x| <= 128 * 127, so two products fit into an int16.
#define DG_DOT_SIGNED(sum, w, x)                                                                                   \
  (I) vpadalq_s16((int32x4_t)(sum), vpaddq_s16(vmull_s8(vget_low_s8((int8x16_t)(w)), vget_low_s8((int8x16_t)(x))), \
                                               vmull_high_s8((int8x16_t)(w), (int8x16_t)(x))))
#define DG_INT8_ROWS_1 4  // 16 sums, 4 of x, a weight, 2 products: 23 of 32 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_FEW_TOKENS 4
#define DG_INT8_FEW_PANELS 1
#define DG_INT8_DIRECT_TOKENS 2
#define DG_NAME "neon"
#define DG_GETTER neon_table
#include "kernels/lanes.inc"
