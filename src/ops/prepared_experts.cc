// The experts' products with activations that are prepared: bf16 or integers (experts.h).
//
// Rows are prepared before they are gathered: a prepared block is a lane block, so the same gather moves half or a
// quarter of the bytes. A task of the first half computes 64 hidden features of one expert, which is one superblock of
// what the second half multiplies: it is prepared right there. Tasks are small against a layer (a thousand and more),
// so threads end together. Tests: tests/ops/packed_test.cc, bf16_test.cc.
#include <algorithm>

#include "base/check.h"
#include "ops/experts.h"
#include "ops/prepared_product.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;

namespace {

constexpr size_t kHiddenPerTask = tensor::kSuperblock;
constexpr size_t kOutputsPerTask = 256;  // of a down product, whose sums are short

/// Features first .. of one expert's gelu(gate x) * up x, prepared, to superblock first / 64 of `out`.
void hidden_features(Exec& exec, int worker, const ExpertWeights& weights, size_t expert, size_t first, ConstBlocks in,
                     size_t tokens, Blocks out) {
  const size_t count = std::min(kHiddenPerTask, weights.width - first);
  float* memory = exec.scratch(worker, 2 * in.blocks * count * kLanes);
  const Blocks gate{memory, in.blocks, count, count * kLanes};
  const Blocks up{memory + in.blocks * count * kLanes, in.blocks, count, count * kLanes};
  const size_t row = expert * weights.stride + first;
  const tensor::Arithmetic kind = weights.arithmetic();
  prepared_product_on_this_thread(exec, worker, weights.gate.row_range(row, count), in, tokens, gate);
  prepared_product_on_this_thread(exec, worker, weights.up.row_range(row, count), in, tokens, up);
  for (size_t b = 0; b < in.blocks; ++b) {
    exec.kernels().gelu_mul(gate.block(b), up.block(b), gate.block(b), count);
    prepare_block(exec, kind, gate.block(b), count, out.block(b) + prepared_features(kind, first) * kLanes);
  }
}

}  // namespace

void prepared_expert_products(Exec& exec, const ExpertWeights& weights, ConstBlocks x, ExpertWorkspace& space) {
  const tensor::Arithmetic kind = weights.arithmetic();
  DG_CHECK(weights.up.arithmetic() == kind && weights.down.arithmetic() == kind, "experts are multiplied in one way");
  const ExpertSlots& slots = space.slots;
  const size_t blocks = slots.blocks(), width = weights.width, features = x.features;
  const Blocks input = space.input.view(blocks), hidden = space.hidden.view(blocks), output = space.output.view(blocks);
  gather_slots(exec, slots, prepare(exec, kind, x, exec.shared(prepared_floats(kind, x))), input);

  const size_t up_tasks = (width + kHiddenPerTask - 1) / kHiddenPerTask;
  exec.run(weights.experts * up_tasks, [&](size_t task, int worker) {
    const size_t expert = task / up_tasks;
    if (slots.tokens[expert] == 0) return;
    hidden_features(exec, worker, weights, expert, task % up_tasks * kHiddenPerTask, slots.blocks_of(input, expert),
                    slots.tokens[expert], slots.blocks_of(hidden, expert));
  });
  const size_t down_tasks = (features + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(weights.experts * down_tasks, [&](size_t task, int worker) {
    const size_t expert = task / down_tasks, first = task % down_tasks * kOutputsPerTask;
    if (slots.tokens[expert] == 0) return;
    const size_t count = std::min(kOutputsPerTask, features - first);
    prepared_product_on_this_thread(exec, worker, weights.down.row_range(expert * weights.down_stride + first, count),
                                    slots.blocks_of(hidden, expert), slots.tokens[expert],
                                    slots.blocks_of(output, expert).feature_range(first, count));
  });
}

}  // namespace dgemma::ops
