// The bf16 products for AArch64 with bf16 instructions; everything else is the neoni8mm table.
//
// bfmlalt and bfmlalb multiply the high (the low) halves of each lane and add the product, rounded once and denormals
// kept: the two steps of a pair in table.h, without taking the halves apart. bfdot and bfmmla would multiply twice and
// four times as much, but round in ways of their own. Only the instruction set is here; the kernels are in
// lanes_pairs.inc, the table in lanes_pairs_table.inc. No standard library in this file: it is built with -m flags.
// Test: tests/kernels/pairs_test.cc, which runs every table.
#include <arm_neon.h>

namespace {

// A pair of weights is broadcast by the instruction, out of a register's lowest lane: one of the first 16, which is all
// that it can name. GCC 12's intrinsic allows any, and then does not assemble.
inline __attribute__((always_inline)) float32x4_t dot_bf16(float32x4_t sum, const uint16_t* w, bfloat16x8_t x) {
  typedef uint32_t Word __attribute__((may_alias, aligned(2)));
  const uint32x4_t pair = {*reinterpret_cast<const Word*>(w)};
  __asm__("bfmlalt %0.4s, %1.8h, %2.h[1]" : "+w"(sum) : "w"(x), "x"(pair));
  __asm__("bfmlalb %0.4s, %1.8h, %2.h[0]" : "+w"(sum) : "w"(x), "x"(pair));
  return sum;
}

}  // namespace

#define DG_WIDTH 4
#define DG_SET1(s) vdupq_n_f32(s)
#define DG_FMA(a, b, c) vfmaq_f32(c, a, b)
#define DG_DOT_BF16(sum, w, x) (F) dot_bf16((float32x4_t)(sum), w, (bfloat16x8_t)(x))
#define DG_MAX_BLOCKS 1
#define DG_ROWS_1 4  // 16 sums, 4 of x, 4 weights; 6 rows would spill
#define DG_NAME "neonbf16"
#define DG_GETTER neonbf16_table
#define DG_BASE_GETTER neoni8mm_table
#include "kernels/lanes_pairs_table.inc"
