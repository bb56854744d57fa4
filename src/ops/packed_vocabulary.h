// The soft embedding's share of one tile of a packed table; part of the vocabulary pass (vocabulary.h).
#pragma once

#include "ops/exec.h"
#include "tensor/packed_layout.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// The most rows of the table that packed_weighted_sum takes: its sums, which are larger than a second-level cache, are
/// read and written once for all of them.
inline constexpr size_t kMostSummedRows = 4 * tensor::kSuperblock;

/// out = out * rescale + w^T p on this thread: w at most kMostSummedRows packed rows [tokens, D], p [B, tokens, 16] >=
/// 0 (used up), rescale [B, 16], out [B, D, 16]. The table's scales are folded into its codes and p is quantised by 32
/// tokens (amx: 64), so what is added is within about 1 % (tests/ops/packed_test.cc has the bound).
void packed_weighted_sum(Exec& exec, int worker, const tensor::Weight& w, tensor::Blocks p, const float* rescale,
                         tensor::Blocks out);

}  // namespace dgemma::ops
