// See prepared_product.h.
#include "ops/prepared_product.h"

#include <algorithm>

#include "base/check.h"
#include "ops/bf16_product.h"
#include "ops/packed_product.h"
#include "ops/product.h"
#include "tensor/packed.h"

namespace dgemma::ops {

using tensor::Arithmetic;
using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;
using tensor::Weight;

size_t prepared_features(Arithmetic arithmetic, size_t features) {
  switch (arithmetic) {
    case Arithmetic::kBF16:
      return tensor::paired_features(features);
    case Arithmetic::kInt8:
      return tensor::quantised_features(features);
    case Arithmetic::kF32:
      break;
  }
  return features;
}

size_t prepared_together(const Exec& exec, Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kBF16:
      return 2;
    case Arithmetic::kInt8:
      return exec.kernels().quantised_together;
    case Arithmetic::kF32:
      break;
  }
  return 1;
}

void prepare_block(Exec& exec, Arithmetic arithmetic, const float* x, size_t features, float* out) {
  DG_CHECK(arithmetic != Arithmetic::kF32, "f32 needs no preparing");
  if (arithmetic == Arithmetic::kBF16)
    exec.kernels().round_pairs(x, features, out);
  else
    exec.kernels().quantise(x, features, out);
}

void prepare_norm(Exec& exec, int worker, Arithmetic arithmetic, const float* x, const float* weight, float eps,
                  size_t features, float* out) {
  const bool plain = arithmetic == Arithmetic::kF32;
  float* normed = plain ? out : exec.scratch(worker, features * kLanes);
  exec.kernels().rms_norm(x, weight, eps, normed, features);
  if (!plain) prepare_block(exec, arithmetic, normed, features, out);
}

size_t prepared_floats(Arithmetic arithmetic, ConstBlocks x) {
  return arithmetic == Arithmetic::kF32 ? 0 : x.blocks * prepared_features(arithmetic, x.features) * kLanes;
}

ConstBlocks prepare(Exec& exec, Arithmetic arithmetic, ConstBlocks x, float* memory) {
  if (arithmetic == Arithmetic::kF32) return x;
  const size_t features = prepared_features(arithmetic, x.features);
  const Blocks out{memory, x.blocks, features, features * kLanes};
  exec.run(x.blocks, [&](size_t b, int) { prepare_block(exec, arithmetic, x.block(b), x.features, out.block(b)); });
  return out;
}

namespace {

/// Gate and up as one matrix, panels in turn, where they lie so: then they are one stream from memory. Nothing
/// elsewhere.
Weight in_turn(const Weight& gate, const Weight& up) {
  if (gate.arithmetic() != Arithmetic::kInt8 || up.arithmetic() != Arithmetic::kInt8 || gate.dtype != up.dtype)
    return {};
  const size_t panel = tensor::panel_bytes(gate.dtype, gate.cols);
  const bool alternate = static_cast<const std::byte*>(gate.data) + panel == up.data;
  if (!alternate || gate.panel_stride != 2 * panel || up.panel_stride != 2 * panel) return {};
  return {gate.dtype, gate.data, 2 * tensor::panels_for(gate.rows) * tensor::kPanelRows, gate.cols, panel};
}

}  // namespace

void gated_product_on_this_thread(Exec& exec, int worker, const Weight& gate, const Weight& up, ConstBlocks x,
                                  size_t tokens, Arithmetic next, Blocks out) {
  const size_t count = gate.rows;
  const Weight both = in_turn(gate, up);
  const size_t stride = (both ? both.rows : 2 * count) * kLanes;
  const Blocks products{exec.scratch(worker, x.blocks * stride), x.blocks, stride / kLanes, stride};
  if (both) {
    prepared_product_on_this_thread(exec, worker, both, x, tokens, products);
  } else {
    prepared_product_on_this_thread(exec, worker, gate, x, tokens, products.feature_range(0, count));
    prepared_product_on_this_thread(exec, worker, up, x, tokens, products.feature_range(count, count));
  }
  const size_t step = both ? tensor::kPanelRows : count;  // features of gate that features of up follow
  const bool plain = next == Arithmetic::kF32;
  for (size_t b = 0; b < x.blocks; ++b) {
    float* to = plain ? out.block(b) : products.block(b);  // what is behind the results is still to come
    for (size_t first = 0; first < count; first += step) {
      const float* g = products.block(b) + 2 * first * kLanes;
      exec.kernels().gelu_mul(g, g + step * kLanes, to + first * kLanes, std::min(step, count - first));
    }
    if (!plain) prepare_block(exec, next, to, count, out.block(b));
  }
}

void prepared_product_on_this_thread(Exec& exec, int worker, const Weight& w, ConstBlocks x, size_t tokens,
                                     Blocks out) {
  switch (w.arithmetic()) {
    case Arithmetic::kF32:
      return product_on_this_thread(exec, worker, w, x, out);
    case Arithmetic::kBF16:
      return bf16_product_on_this_thread(exec, worker, w, x, out);
    case Arithmetic::kInt8:
      return packed_product_on_this_thread(exec, w, x, tokens, nullptr, out);
  }
}

}  // namespace dgemma::ops
