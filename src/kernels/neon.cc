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
#define DG_MAX_BLOCKS 1
#define DG_ROWS_1 6  // 24 sums, 4 of x, a weight: 29 of 32 registers
#define DG_NAME "neon"
#define DG_GETTER neon_table
#include "kernels/lanes.inc"
