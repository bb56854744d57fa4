// The bf16 products for AArch64 with bf16 instructions; everything else is the neoni8mm table.
//
// bfmlalt and bfmlalb multiply the high (the low) halves of each lane and add the product, rounded once and denormals
// kept: the two steps of a pair in table.h, without taking the halves apart. bfdot and bfmmla would multiply twice and
// four times as much, but round in ways of their own. Only the instruction set is here; the kernels are in
// lanes_product.inc. No standard library in this file: it is built with -m flags. Test: tests/kernels/pairs_test.cc,
// which runs every table.
#include <arm_neon.h>

#define DG_WIDTH 4
#define DG_SET1(s) vdupq_n_f32(s)
#define DG_FMA(a, b, c) vfmaq_f32(c, a, b)
#define DG_DOT_BF16(sum, w, x) dot_bf16(sum, w, x)
#define DG_MAX_BLOCKS 1
#define DG_ROWS_1 4  // 16 sums, 4 of x, 4 weights; 6 rows would spill
#include "kernels/lanes_types.inc"

namespace dgemma::kernels {
namespace {

// A pair of weights is broadcast by the instruction, out of a register's lowest lane.
DG_INLINE F dot_bf16(F sum, const uint16_t* w, F x) {
  typedef uint32_t Word __attribute__((may_alias, aligned(2)));
  const bfloat16x4_t pair = vreinterpret_bf16_u64(vcreate_u64(*reinterpret_cast<const Word*>(w)));
  const auto values = (bfloat16x8_t)x;
  return (F)vbfmlalbq_lane_f32(vbfmlaltq_lane_f32((float32x4_t)sum, values, pair, 1), values, pair, 0);
}

}  // namespace
}  // namespace dgemma::kernels

#include "kernels/lanes_product.inc"

namespace dgemma::kernels {

const KernelTable* neonbf16_table() {
  static const KernelTable table = [] {
    KernelTable t = *neoni8mm_table();
    t.name = "neonbf16";
    t.product_pairs = product_pairs;
    t.weighted_sum_pairs = weighted_sum_pairs;
    return t;
  }();
  return &table;
}

}  // namespace dgemma::kernels
