// The experts' products with packed weights (experts.h).
//
// Rows are quantised before they are gathered: a quantised block is a lane block, so the same gather moves a quarter of
// the bytes. A task of the first half computes 64 hidden features of one expert, which is one superblock of what the
// second half multiplies: it is quantised right there. Tasks are small against a layer (a thousand and more), so
// threads end together. Tests: tests/ops/packed_test.cc.
#include <algorithm>

#include "base/check.h"
#include "ops/experts.h"
#include "ops/packed_product.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;

namespace {

constexpr size_t kHiddenPerTask = tensor::kSuperblock;
constexpr size_t kOutputsPerTask = 256;  // of a down product, whose sums are short

/// Features first .. of one expert's gelu(gate x) * up x, quantised to superblock first / 64 of `out`.
void hidden_features(Exec& exec, int worker, const ExpertWeights& weights, size_t expert, size_t first, ConstBlocks in,
                     size_t tokens, Blocks out) {
  const size_t count = std::min(kHiddenPerTask, weights.width - first);
  float* memory = exec.scratch(worker, 2 * in.blocks * count * kLanes);
  const Blocks gate{memory, in.blocks, count, count * kLanes};
  const Blocks up{memory + in.blocks * count * kLanes, in.blocks, count, count * kLanes};
  const size_t row = expert * weights.stride + first;
  packed_product_on_this_thread(exec, weights.gate.row_range(row, count), in, tokens, nullptr, gate);
  packed_product_on_this_thread(exec, weights.up.row_range(row, count), in, tokens, nullptr, up);
  for (size_t b = 0; b < in.blocks; ++b) {
    exec.kernels().gelu_mul(gate.block(b), up.block(b), gate.block(b), count);
    exec.kernels().quantise(gate.block(b), count, out.block(b) + tensor::quantised_features(first) * kLanes);
  }
}

}  // namespace

void packed_expert_products(Exec& exec, const ExpertWeights& weights, ConstBlocks x, ExpertWorkspace& space) {
  DG_CHECK(weights.up.packed() && weights.down.packed(), "experts are packed together");
  const ExpertSlots& slots = space.slots;
  const size_t blocks = slots.blocks(), width = weights.width, features = x.features;
  const Blocks input = space.input.view(blocks), hidden = space.hidden.view(blocks), output = space.output.view(blocks);
  gather_slots(exec, slots, quantise(exec, x, exec.shared(quantised_floats(x))), input);

  const size_t up_tasks = (width + kHiddenPerTask - 1) / kHiddenPerTask;
  exec.run(weights.experts * up_tasks, [&](size_t task, int worker) {
    const size_t expert = task / up_tasks;
    if (slots.tokens[expert] == 0) return;
    hidden_features(exec, worker, weights, expert, task % up_tasks * kHiddenPerTask, slots.blocks_of(input, expert),
                    slots.tokens[expert], slots.blocks_of(hidden, expert));
  });
  const size_t down_tasks = (features + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(weights.experts * down_tasks, [&](size_t task, int) {
    const size_t expert = task / down_tasks, first = task % down_tasks * kOutputsPerTask;
    if (slots.tokens[expert] == 0) return;
    const size_t count = std::min(kOutputsPerTask, features - first);
    packed_product_on_this_thread(exec, weights.down.row_range(expert * weights.down_stride + first, count),
                                  slots.blocks_of(hidden, expert), slots.tokens[expert], nullptr,
                                  slots.blocks_of(output, expert).feature_range(first, count));
  });
}

}  // namespace dgemma::ops
