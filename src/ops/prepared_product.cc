// See prepared_product.h.
#include "ops/prepared_product.h"

#include <algorithm>

#include "base/check.h"
#include "ops/bf16_product.h"
#include "ops/packed_product.h"

namespace dgemma::ops {

using tensor::Arithmetic;
using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;
using tensor::Weight;

namespace {

// Outputs per task: four panels of packed rows, enough work to be worth a task, few enough that the last tasks end
// together.
constexpr size_t kRowsPerTask = 64;

}  // namespace

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

void prepare_block(Exec& exec, Arithmetic arithmetic, const float* x, size_t features, float* out) {
  DG_CHECK(arithmetic != Arithmetic::kF32, "f32 needs no preparing");
  if (arithmetic == Arithmetic::kBF16)
    exec.kernels().round_pairs(x, features, out);
  else
    exec.kernels().quantise(x, features, out);
}

size_t prepared_floats(Arithmetic arithmetic, ConstBlocks x) {
  return x.blocks * prepared_features(arithmetic, x.features) * kLanes;
}

Blocks prepare(Exec& exec, Arithmetic arithmetic, ConstBlocks x, float* memory) {
  const size_t features = prepared_features(arithmetic, x.features);
  const Blocks out{memory, x.blocks, features, features * kLanes};
  exec.run(x.blocks, [&](size_t b, int) { prepare_block(exec, arithmetic, x.block(b), x.features, out.block(b)); });
  return out;
}

void prepared_product_on_this_thread(Exec& exec, int worker, const Weight& w, ConstBlocks x, size_t tokens,
                                     Blocks out) {
  if (w.arithmetic() == Arithmetic::kBF16)
    bf16_product_on_this_thread(exec, worker, w, x, out);
  else
    packed_product_on_this_thread(exec, w, x, tokens, nullptr, out);
}

void prepared_product(Exec& exec, const Weight& w, ConstBlocks x, Blocks out) {
  const Blocks prepared = prepare(exec, w.arithmetic(), x, exec.shared(prepared_floats(w.arithmetic(), x)));
  const size_t tasks = (w.rows + kRowsPerTask - 1) / kRowsPerTask;
  exec.run(tasks, [&](size_t task, int worker) {
    const size_t first = task * kRowsPerTask, count = std::min(kRowsPerTask, w.rows - first);
    prepared_product_on_this_thread(exec, worker, w.row_range(first, count), prepared, x.blocks * kLanes,
                                    out.feature_range(first, count));
  });
}

void prepared_gated_product(Exec& exec, const Weight& gate, const Weight& up, ConstBlocks x, Blocks out) {
  const Blocks prepared = prepare(exec, gate.arithmetic(), x, exec.shared(prepared_floats(gate.arithmetic(), x)));
  const size_t tasks = (gate.rows + kRowsPerTask - 1) / kRowsPerTask;
  exec.run(tasks, [&](size_t task, int worker) {
    const size_t first = task * kRowsPerTask, count = std::min(kRowsPerTask, gate.rows - first);
    const Blocks up_out{exec.scratch(worker, x.blocks * count * kLanes), x.blocks, count, count * kLanes};
    const Blocks gate_out = out.feature_range(first, count);
    const size_t tokens = x.blocks * kLanes;
    prepared_product_on_this_thread(exec, worker, gate.row_range(first, count), prepared, tokens, gate_out);
    prepared_product_on_this_thread(exec, worker, up.row_range(first, count), prepared, tokens, up_out);
    for (size_t b = 0; b < x.blocks; ++b)
      exec.kernels().gelu_mul(gate_out.block(b), up_out.block(b), gate_out.block(b), count);
  });
}

}  // namespace dgemma::ops
