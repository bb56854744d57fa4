// The integer kernels for AVX-512 with VNNI; everything else is the avx512 table.
//
// Only the instruction set is here; the kernels are in lanes_int8.inc, the table in lanes_int8_table.inc. No standard
// library in this file: it is built with -m flags. Tests: tests/kernels/packed_test.cc, which runs every table.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_DOT(sum, w, x) (I) _mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), (__m512i)(x))
#define DG_INT8_ROWS_1 16  // sums: 16, 16, 24 of 32 registers
#define DG_INT8_ROWS_2 8
#define DG_INT8_ROWS_3 8
#define DG_INT8_BLOCKS 3
#define DG_INT8_KEPT_ROWS_1 8  // 8 sums, 8 kept ones; so with two blocks
#define DG_INT8_KEPT_ROWS_2 4
#define DG_INT8_KEPT_ROWS_3 4  // 12 sums, 12 kept ones, 3 of x, a weight, a scale
#define DG_INT8_FEW_TOKENS 6
#define DG_INT8_FEW_PANELS 4
#define DG_INT8_FEW_IN_PLACE
#define DG_INT8_DIRECT_TOKENS 4
#define DG_NAME "avx512vnni"
#define DG_GETTER avx512vnni_table
#define DG_BASE_GETTER avx512_table
#include "kernels/lanes_int8_table.inc"
