// Products with packed weights: activations are quantised once, then multiplied in integers (tensor/packed_layout.h).
//
// What ops/product.h does for the caller when a weight is packed; experts and the vocabulary pass call it directly,
// since they quantise once and multiply often. Tests: tests/ops/packed_test.cc.
#pragma once

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// Outputs per task: four panels, enough work to be worth a task, few enough that the last tasks end together.
inline constexpr size_t kPackedRowsPerTask = 64;

/// Floats that quantise() needs for x.
size_t quantised_floats(tensor::ConstBlocks x);
/// x quantised into `memory`, 64-byte aligned: [B, quantised_features(D), 16].
tensor::Blocks quantise(Exec& exec, tensor::ConstBlocks x, float* memory);

/// out = w x, or out * scale [B, 16] + w x, on this thread: w packed [N, K], x quantised blocks of K features, out
/// [B, N, 16]. Tokens past `tokens` get any finite value.
void packed_product_on_this_thread(Exec& exec, const tensor::Weight& w, tensor::ConstBlocks x, size_t tokens,
                                   const float* scale, tensor::Blocks out);

/// As product() and gated_product(), with w, gate and up packed and x not yet quantised.
void packed_product(Exec& exec, const tensor::Weight& w, tensor::ConstBlocks x, tensor::Blocks out);
void packed_gated_product(Exec& exec, const tensor::Weight& gate, const tensor::Weight& up, tensor::ConstBlocks x,
                          tensor::Blocks out);

}  // namespace dgemma::ops
