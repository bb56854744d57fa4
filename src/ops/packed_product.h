// The integer product: packed weights with activations quantised to 8 bits (tensor/packed_layout.h).
//
// One of the kinds of ops/prepared_product.h, which quantises and shares out the work. Tests: tests/ops/packed_test.cc.
#pragma once

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// out = w x, or out * scale [B, 16] + w x, on this thread: w packed [N, K], x quantised blocks of K features, out
/// [B, N, 16]. Tokens past `tokens` get any finite value.
void packed_product_on_this_thread(Exec& exec, const tensor::Weight& w, tensor::ConstBlocks x, size_t tokens,
                                   const float* scale, tensor::Blocks out);

}  // namespace dgemma::ops
