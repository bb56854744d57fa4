// Products in bf16: activations and weights rounded to the nearest bf16, sums in f32 (kernels/table.h has the order).
//
// bf16 weights are multiplied as they lie (keys of a cache too, ops/attention.cc); all other types are decoded and
// rounded a few rows at a time. One of the kinds of ops/prepared_product.h, which rounds the activations and shares out
// the work. Tests: tests/ops/bf16_test.cc.
#pragma once

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// out = w x on this thread: w [N, K] of any type, x blocks of pairs of K features, out [B, N, 16].
void bf16_product_on_this_thread(Exec& exec, int worker, const tensor::Weight& w, tensor::ConstBlocks x,
                                 tensor::Blocks out);

/// out = out * rescale + w^T p on this thread: w [V, D] of any type, p [B, V, 16] in f32, rescale [B, 16], out
/// [B, D, 16]: the soft embedding's share of one tile of the table.
void bf16_weighted_sum(Exec& exec, int worker, const tensor::Weight& w, tensor::ConstBlocks p, const float* rescale,
                       tensor::Blocks out);

}  // namespace dgemma::ops
