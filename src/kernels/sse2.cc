// The kernels for any x86-64 processor: registers of 4 floats, no fused multiply-add.
//
// Only the instruction set is here; the kernels are in lanes.inc. No standard library in this file either: it is
// included in the same way as for the others. Tests: tests/kernels/*, which run every table.
#include <emmintrin.h>

#define DG_WIDTH 4
#define DG_SET1(s) _mm_set1_ps(s)
#define DG_FMA(a, b, c) ((a) * (b) + (c))
#define DG_SQRT(a) _mm_sqrt_ps(a)
#define DG_LOW_DOUBLES(a) _mm_cvtps_pd(a)
#define DG_HIGH_DOUBLES(a) _mm_cvtps_pd(_mm_movehl_ps(a, a))
#define DG_SET1_DOUBLES(s) _mm_set1_pd(s)
#define DG_FMA_DOUBLES(a, b, c) ((a) * (b) + (c))
#define DG_DOUBLE_ROWS 4  // 8 sums, 2 of x, weight and product: 12 of 16 registers
#define DG_MAX_BLOCKS 1
#define DG_ROWS_1 2  // 8 sums, 4 of x, weight and product: 14 of 16 registers
#define DG_FMA_ROUNDS_TWICE
#define DG_WORD_DOT(w, x) (I) _mm_madd_epi16((__m128i)(w), (__m128i)(x))
#define DG_INT8_ROWS_1 2  // 8 sums, 4 of x, a weight and a product: 14 of 16 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_FEW_TOKENS 2
#define DG_INT8_FEW_PANELS 1
#define DG_INT8_DIRECT_TOKENS 2
#define DG_NAME "sse2"
#define DG_GETTER sse2_table
#include "kernels/lanes.inc"
