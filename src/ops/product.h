// Products of activations with weights, and the norms between them: the dense parts of a layer.
//
// Activations come in the form that the weights' arithmetic wants ("prepared", ops/prepared_product.h). Work is cut
// along the outputs (or the rows), so each output is summed by one thread in one order: the number of threads never changes a result.
// Tests: tests/ops/product_test.cc.
#pragma once

#include <span>

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// The rows of w as a kernel can read them: w itself, or decoded to f32 in this worker's panel, where they stay until
/// its next call.
tensor::Weight direct_rows(Exec& exec, int worker, const tensor::Weight& w);
/// out = w x on this thread, of any type that is not packed. Shapes as in product().
void product_on_this_thread(Exec& exec, int worker, const tensor::Weight& w, tensor::ConstBlocks x, tensor::Blocks out);
/// out = out * scale + w^T p on this thread: w [V, N] direct, p [B, V, 16], out [B, N, 16]; scale [B, 16] or null
/// for 1.
void weighted_sum_on_this_thread(Exec& exec, const tensor::Weight& w, tensor::ConstBlocks p, const float* scale,
                                 tensor::Blocks out);

/// One row of w as w.cols floats, whatever its type.
void decode_row(const tensor::Weight& w, size_t row, float* out);

/// One of several products of the same x: w [N, K], out [B, N, 16].
struct Product {
  const tensor::Weight& w;
  tensor::Blocks out;
};
/// out = w x for each, x [B, K, 16] prepared; one that has fewer blocks than x multiplies the last ones. All weights
/// are of one arithmetic; no out overlaps x. rows: so many of x count, the others get any finite value.
void products(Exec& exec, std::span<const Product> all, tensor::ConstBlocks x, size_t rows = tensor::kAllRows);
/// One of them.
void prepared_product(Exec& exec, const tensor::Weight& w, tensor::ConstBlocks x, tensor::Blocks out,
                      size_t rows = tensor::kAllRows);
/// out = w x, x [B, K, 16] as it is and prepared here.
void product(Exec& exec, const tensor::Weight& w, tensor::ConstBlocks x, tensor::Blocks out,
             size_t rows = tensor::kAllRows);

/// out = gelu_tanh(gate x) * (up x), prepared for `next`.  gate, up [N, K], x [B, K, 16] prepared, out [B,
/// prepared_features(N), 16]; rows as above.
void gated_product(Exec& exec, const tensor::Weight& gate, const tensor::Weight& up, tensor::ConstBlocks x,
                   tensor::Arithmetic next, tensor::Blocks out, size_t rows = tensor::kAllRows);

/// out = RMSNorm(x; weight) by row; weight [D] or null for none; out may be x.
void rms_norm(Exec& exec, tensor::ConstBlocks x, const float* weight, float eps, tensor::Blocks out);

}  // namespace dgemma::ops
