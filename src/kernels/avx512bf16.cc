// The bf16 products for AVX-512 with BF16; everything else is the avx512vnni table.
//
// Only the instruction set is here; the kernels are in lanes_pairs.inc, the table in lanes_pairs_table.inc. No
// standard library in this file: it is built with -m flags. Test: tests/kernels/pairs_test.cc, which runs every table.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_DOT_BF16(sum, w, x) _mm512_dpbf16_ps(sum, (__m512bh)pair(w), (__m512bh)(x))
// The instruction puts all of the one before all of the other; words 0, 16, 1, 17, ... of that are the pairs.
#define DG_ROUND_PAIR(first, second)                                                                                 \
  (F) _mm512_permutexvar_epi16(_mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, \
                                                22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0),                    \
                               (__m512i)_mm512_cvtne2ps_pbh(second, first))
#define DG_LOW_DOUBLES(a) _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, a, 0))
#define DG_HIGH_DOUBLES(a) _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, a, 1))
#define DG_MAX_BLOCKS 4
#define DG_ROWS_1 12  // as in avx512.cc: the instruction takes the same time as a multiply-add
#define DG_ROWS_2 12
#define DG_ROWS_3 8
#define DG_ROWS_4 6
#define DG_NAME "avx512bf16"
#define DG_GETTER avx512bf16_table
#define DG_BASE_GETTER avx512vnni_table
#include "kernels/lanes_pairs_table.inc"
