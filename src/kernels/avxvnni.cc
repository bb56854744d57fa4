// The integer kernels for AVX2 with VNNI (AVX-VNNI); everything else is the avx2 table.
//
// Only the instruction set is here; the kernels are in lanes_int8.inc, the table in lanes_int8_table.inc. No standard
// library in this file: it is built with -m flags. Tests: tests/kernels/packed_test.cc, which runs every table.
#include <immintrin.h>

#define DG_WIDTH 8
#define DG_SET1(s) _mm256_set1_ps(s)
#define DG_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define DG_DOT(sum, w, x) (I) _mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(w), (__m256i)(x))
#define DG_INT8_ROWS_1 4  // 8 sums, 2 of x, a weight: 11 of 16 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_KEPT_ROWS_1 4  // 8 sums; of the 8 kept ones some are on the stack
#define DG_INT8_FEW_TOKENS 4
#define DG_INT8_FEW_PANELS 1
#define DG_INT8_DIRECT_TOKENS 2
#define DG_NAME "avxvnni"
#define DG_GETTER avxvnni_table
#define DG_BASE_GETTER avx2_table
#include "kernels/lanes_int8_table.inc"
