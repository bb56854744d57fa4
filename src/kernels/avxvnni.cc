// The integer kernels for AVX2 with VNNI (AVX-VNNI); everything else is the avx2 table.
//
// Only the instruction set is here; the kernels are in lanes_int8.inc. No standard library in this file: it is built
// with -m flags. Tests: tests/kernels/packed_test.cc, which runs every table.
#include <immintrin.h>

#define DG_WIDTH 8
#define DG_SET1(s) _mm256_set1_ps(s)
#define DG_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define DG_DOT(sum, w, x) (I) _mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(w), (__m256i)(x))
#define DG_INT8_ROWS_1 4  // 8 sums, 2 of x, a weight: 11 of 16 registers
#define DG_INT8_BLOCKS 1
#define DG_INT8_FEW_TOKENS 4
#define DG_INT8_FEW_PANELS 1
#include "kernels/lanes_types.inc"

#include "kernels/lanes_int8.inc"

namespace dgemma::kernels {

const KernelTable* avxvnni_table() {
  static const KernelTable table = [] {
    KernelTable t = *avx2_table();
    t.name = "avxvnni";
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
