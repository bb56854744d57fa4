// See bf16_product.h.
#include "ops/bf16_product.h"

#include <algorithm>

#include "base/check.h"
#include "ops/product.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::DType;
using tensor::kLanes;
using tensor::Weight;

namespace {

// Rows rounded at a time: whole panels of packed weights, a multiple of the kernels' register blocks (6, 12), and for
// 2,816 columns a quarter of a 1 MiB second-level cache.
constexpr size_t kRowsAtATime = 48;

/// Rows as product_pairs reads them.
struct Bf16Rows {
  const uint16_t* data;
  size_t cols;  // even
};

size_t even(size_t count) { return count + count % 2; }
bool lies_as_pairs(const Weight& w) { return w.dtype == DType::kBF16 && w.cols % 2 == 0; }
/// Floats that rounding w takes: a row in f32, then all rows in bf16. A multiple of 16.
size_t rounding_floats(const Weight& w) {
  if (lies_as_pairs(w)) return 0;
  return (w.cols + w.rows * even(w.cols) / 2 + 2 * kLanes) / kLanes * kLanes;
}

/// The rows of w in bf16, in the file or in `memory`, rounding_floats(w).
Bf16Rows rounded_rows(const kernels::KernelTable& table, const Weight& w, float* memory) {
  if (lies_as_pairs(w)) return {w.bf16(), w.cols};
  const size_t cols = even(w.cols);
  auto* out = reinterpret_cast<uint16_t*>(memory + (w.cols + kLanes - 1) / kLanes * kLanes);
  const auto decoder = kernels::decode_index(w.dtype);
  for (size_t r = 0; r < w.rows; ++r) {
    const float* values = memory;
    if (w.dtype == DType::kF32)
      values = w.f32(r);
    else if (decoder)
      table.decode[*decoder](reinterpret_cast<const uint8_t*>(w.row(r)), w.cols, memory);
    else
      decode_row(w, r, memory);
    table.round_values(values, w.cols, out + r * cols);
    if (cols > w.cols) out[r * cols + w.cols] = 0;
  }
  return {out, cols};
}

}  // namespace

void bf16_product_on_this_thread(Exec& exec, int worker, const Weight& w, ConstBlocks x, Blocks out) {
  DG_CHECK(tensor::paired_features(w.cols) == x.features && w.rows == out.features && x.blocks == out.blocks, "w [",
           w.rows, ",", w.cols, "] pairs x [", x.blocks, ",", x.features, "] out [", out.blocks, ",", out.features,
           "]");
  const size_t step = lies_as_pairs(w) ? w.rows : kRowsAtATime;
  for (size_t first = 0; first < w.rows; first += step) {
    const size_t count = std::min(step, w.rows - first);
    const Weight part = w.row_range(first, count);
    const Bf16Rows rows = rounded_rows(exec.kernels(), part, exec.weight_scratch(worker, rounding_floats(part)));
    const Blocks to = out.feature_range(first, count);
    exec.kernels().product_pairs(rows.data, rows.cols, x.data, x.block_stride, to.data, to.block_stride, x.blocks,
                                 count, rows.cols);
  }
}

void bf16_weighted_sum(Exec& exec, int worker, const Weight& w, ConstBlocks p, const float* rescale, Blocks out) {
  DG_CHECK(w.rows == p.features && w.cols == out.features && p.blocks == out.blocks, "w [", w.rows, ",", w.cols,
           "] p [", p.blocks, ",", p.features, "] out [", out.blocks, ",", out.features, "]");
  const kernels::KernelTable& table = exec.kernels();
  const size_t pairs = tensor::paired_features(w.rows), rounding = rounding_floats(w);
  float* memory = exec.weight_scratch(worker, rounding + p.blocks * pairs * kLanes + pairs * even(w.cols));
  const Bf16Rows rows = rounded_rows(table, w, memory);
  float* paired = memory + rounding;  // [B, pairs, 16]
  for (size_t b = 0; b < p.blocks; ++b) table.round_pairs(p.block(b), w.rows, paired + b * pairs * kLanes);
  auto* words = reinterpret_cast<uint32_t*>(paired + p.blocks * pairs * kLanes);
  table.interleave_rows(rows.data, rows.cols, w.rows, rows.cols, words);
  table.weighted_sum_pairs(words, rows.cols, paired, pairs * kLanes, out.data, out.block_stride, rescale, p.blocks,
                           w.cols, 2 * pairs);
}

}  // namespace dgemma::ops
