// The kernels for AVX2 with FMA: registers of 8 floats.
//
// Only the instruction set is here; the kernels are in lanes.inc. No standard library in this file: it is built with -m
// flags. Tests: tests/kernels/*, which run every table.
#include <immintrin.h>

#define DG_WIDTH 8
#define DG_SET1(s) _mm256_set1_ps(s)
#define DG_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define DG_SQRT(a) _mm256_sqrt_ps(a)
#define DG_LOW_DOUBLES(a) _mm256_cvtps_pd(_mm256_castps256_ps128(a))
#define DG_HIGH_DOUBLES(a) _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))
#define DG_SET1_DOUBLES(s) _mm256_set1_pd(s)
#define DG_FMA_DOUBLES(a, b, c) _mm256_fmadd_pd(a, b, c)
#define DG_DOUBLE_ROWS 6  // 12 sums, 2 of x, a weight: 15 of 16 registers
#define DG_MAX_BLOCKS 1
#define DG_ROWS_1 6  // 12 sums, 2 of x, a weight: 15 of 16 registers
#define DG_FEW_REGISTERS
#define DG_PAIR_DOT(w, x) (I) _mm256_maddubs_epi16((__m256i)(w), (__m256i)(x))
#define DG_PAIR_SUM(a) (I) _mm256_madd_epi16((__m256i)(a), _mm256_set1_epi16(1))
#define DG_PAIR_SIGN(x, w) (I) _mm256_sign_epi8((__m256i)(x), (__m256i)(w))
#define DG_MAGNITUDES(w) (I) _mm256_abs_epi8((__m256i)(w))
#define DG_INT8_ROWS_1 4  // 8 sums, 2 of x, a weight, a product, ones: 13 of 16 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_KEPT_ROWS_1 4  // 8 sums; of the 8 kept ones most are on the stack
#define DG_INT8_FEW_TOKENS 4
#define DG_INT8_FEW_PANELS 1
#define DG_INT8_FEW_IN_PLACE
#define DG_INT8_WHOLE_FROM 13
#define DG_INT8_DIRECT_TOKENS 2
#define DG_NAME "avx2"
#define DG_GETTER avx2_table
#include "kernels/lanes.inc"
