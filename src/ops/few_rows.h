// The attention of a lane block in which few rows count, with keys and values in bf16: a single token's in row-by-row
// decoding. Internal to ops.
//
// Lanes of such a block are nearly empty, so queries and sums are rows here, and the lanes of products are keys and
// features (kernels/table.h, the products of rows); for the softmax all query heads of a task share one lane block. The
// same sums in the same order as in attention.cc, so nothing shows in a result. Tests: tests/ops/attention_test.cc.
#pragma once

#include "ops/attention.h"

namespace dgemma::ops {

/// The query heads of some consecutive kv heads.
struct FewRows {
  size_t rows = 0;       ///< that count in the block; rows * heads is at most 16
  size_t heads = 0;      ///< query heads
  size_t kv_heads = 0;   ///< divides heads
  size_t head_dim = 0;   ///< Dh
  size_t kv_offset = 0;  ///< of the first kv head in a row of keys
};

/// Floats that it takes of a worker's scratch.
inline size_t few_rows_floats(size_t head_dim) {
  return tensor::kLanes * (head_dim / 2 + head_dim + 2 * static_cast<size_t>(kKeyTile));
}

/// out = softmax(q k^T) v.  q, out: one block, [heads * Dh, 16]; the lanes of out past `rows` get zeros.
void attend_few_rows(Exec& exec, int worker, const FewRows& task, const float* q, const BlockKeys& keys, float* out);

}  // namespace dgemma::ops
