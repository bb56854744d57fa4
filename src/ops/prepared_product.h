// Products of activations in the form that the weights' arithmetic wants: f32 as it is, pairs of bf16, or integers of 8
// bits.
//
// A row's activations are prepared where they are computed, in the same round of tasks, and multiplied often. A
// prepared block is a lane block too, so rows are gathered out of it in the same way. Tests: tests/ops/packed_test.cc,
// tests/ops/bf16_test.cc.
#pragma once

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// So few rows are multiplied without opening packed weights into memory, at the pace at which these are read.
inline constexpr size_t kFewRows = 4;

/// The "features" of a prepared block of `features` features; as many for f32.
size_t prepared_features(tensor::Arithmetic arithmetic, size_t features);
/// Outputs that a task which prepares what it computes has to have, or a multiple of them.
size_t prepared_together(const Exec& exec, tensor::Arithmetic arithmetic);
/// One block, x [features, 16], prepared into `out`. Not for f32.
void prepare_block(Exec& exec, tensor::Arithmetic arithmetic, const float* x, size_t features, float* out);
/// RMSNorm(x; weight) of one block, prepared into `out`; for f32 the norm itself.
void prepare_norm(Exec& exec, int worker, tensor::Arithmetic arithmetic, const float* x, const float* weight, float eps,
                  size_t features, float* out);

/// Floats that prepare() needs for x.
size_t prepared_floats(tensor::Arithmetic arithmetic, tensor::ConstBlocks x);
/// x prepared into `memory`, 64-byte aligned: [B, prepared_features(D), 16]. f32: x itself.
tensor::ConstBlocks prepare(Exec& exec, tensor::Arithmetic arithmetic, tensor::ConstBlocks x, float* memory);

/// gelu_tanh(gate x) * (up x) on this thread, prepared for `next`, to the front of each block of `out`: gate, up [N, K]
/// of one arithmetic, x and tokens as below; N a multiple of prepared_together where more follows.
void gated_product_on_this_thread(Exec& exec, int worker, const tensor::Weight& gate, const tensor::Weight& up,
                                  tensor::ConstBlocks x, size_t tokens, tensor::Arithmetic next, tensor::Blocks out);

/// out = w x on this thread: w [N, K], x prepared for it, out [B, N, 16]. Tokens past `tokens` get any finite value.
void prepared_product_on_this_thread(Exec& exec, int worker, const tensor::Weight& w, tensor::ConstBlocks x,
                                     size_t tokens, tensor::Blocks out);

}  // namespace dgemma::ops
