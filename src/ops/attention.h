// Attention of blocks of query rows over runs of keys: online softmax, nothing of size [rows, keys].
//
// One key/value head and a few lane blocks (of 16 rows) that see the same keys are a task. The query heads that share
// that head lie one after the other in a block, so they are the "blocks" of one product with the key rows: each key is
// read once for 16 rows and all its query heads. A last block of few rows goes another way (few_rows.h). Knows no cache
// and no pass, only "keys low .. high of this run, by row": what a pass sees is put together in model/. Source: Milakov
// and Gimelshein, "Online normalizer calculation for softmax" (2018). Tests: tests/ops/attention_test.cc, against a
// direct softmax.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "ops/exec.h"
#include "tensor/dtype.h"

namespace dgemma::ops {

/// Keys are taken in tiles that start at multiples of this. So that a row's result does not depend on the rows beside
/// it, a key must always fall on the same place in its tile: runs start at positions that are multiples of it. After
/// each tile the sums so far are scaled, which takes as long as the products with 20 keys do on AMX; 256 keys of 512
/// bf16 values and the scores of 8 query heads (128 KiB) stay in a second-level cache.
inline constexpr int32_t kKeyTile = 256;
/// Where keys that no row sees are left out, the rest starts at a multiple of this: no kernel adds up more rows of
/// weights at once (amxbf16: 32), so that what is left out would have added nothing.
inline constexpr int32_t kKeyStep = 64;

/// Consecutive keys and values, and which of them each row of a lane block sees: low[lane] <= i < high[lane].
/// Row i of the run is at keys + i * row_stride, kv head h at offset h * head_dim in it. With a run in bf16, queries
/// and probabilities are rounded to bf16 too and products are those of pairs (kernels/table.h); scores, the softmax and
/// sums are f32 for both. row_stride and head_dim are even then.
struct KeyRun {
  tensor::DType dtype = tensor::DType::kF32;  ///< or kBF16
  const void* keys = nullptr;                 ///< [count, row_stride]
  const void* values = nullptr;               ///< the same
  size_t row_stride = 0;                      ///< values from one key to the next: kv_heads * head_dim
  std::array<int32_t, 16> low{};
  std::array<int32_t, 16> high{};  ///< at most the number of keys
};

/// What the rows of one lane block see: cached keys, then the canvas's own.
using BlockKeys = std::array<KeyRun, 2>;

/// Sizes of one layer's attention.
struct AttentionShape {
  size_t heads = 0;     ///< H
  size_t kv_heads = 0;  ///< K, divides H
  size_t head_dim = 0;  ///< Dh
};

/// What attention() takes at most of a worker's scratch and of its scratch for weights, for so many blocks.
struct AttentionScratch {
  size_t floats = 0, weight_floats = 0;
};
AttentionScratch attention_scratch(const AttentionShape& shape, size_t blocks);

/// out = softmax(q k^T) v by row and head.  q, out [B, H * Dh, 16]; keys: one entry per block. Rows that see no key get
/// zeros. The scale is 1, as in the reference. rows: so many of q count, the others get any finite value.
void attention(Exec& exec, const AttentionShape& shape, tensor::ConstBlocks q, std::span<const BlockKeys> keys,
               tensor::Blocks out, size_t rows = tensor::kAllRows);

}  // namespace dgemma::ops
