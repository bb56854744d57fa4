// The kernels for AVX-512 (F, BW, DQ, VL): a register holds one feature of 16 tokens.
//
// Only the instruction set is here; the kernels are in lanes.inc. No standard library in this file: it is built with -m
// flags. Tests: tests/kernels/*, which run every table.
#include <immintrin.h>

// The maskz forms compile to the plain instructions; GCC 12 warns of its own headers with the plain forms.
#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_SQRT(a) _mm512_maskz_sqrt_ps(0xffff, a)
#define DG_LOW_DOUBLES(a) _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, a, 0))
#define DG_HIGH_DOUBLES(a) _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, a, 1))
#define DG_SET1_DOUBLES(s) _mm512_set1_pd(s)
#define DG_FMA_DOUBLES(a, b, c) _mm512_fmadd_pd(a, b, c)
#define DG_DOUBLE_ROWS 12  // 24 sums, 2 of x, a weight: 27 of 32 registers
#define DG_MAX_BLOCKS 4
#define DG_ROWS_1 12  // sums: 12, 24, 24, 24 of 32 registers; 8 hide the latency of two multipliers
#define DG_ROWS_2 12
#define DG_ROWS_3 8
#define DG_ROWS_4 6
#define DG_PAIR_DOT(w, x) (I) _mm512_maddubs_epi16((__m512i)(w), (__m512i)(x))
#define DG_PAIR_SUM(a) (I) _mm512_madd_epi16((__m512i)(a), _mm512_set1_epi16(1))
#define DG_INT8_ROWS_1 16  // 16 sums
#define DG_INT8_ROWS_2 8
#define DG_INT8_BLOCKS 2
#define DG_INT8_KEPT_ROWS_1 8  // 8 sums, 8 kept ones; so with two blocks
#define DG_INT8_KEPT_ROWS_2 4
#define DG_INT8_FEW_TOKENS 6
#define DG_INT8_FEW_PANELS 4
#define DG_INT8_DIRECT_TOKENS 2
#define DG_NAME "avx512"
#define DG_GETTER avx512_table
#include "kernels/lanes.inc"
