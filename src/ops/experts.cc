// See experts.h.
#include "ops/experts.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/prepared_product.h"
#include "ops/product.h"

namespace dgemma::ops {
namespace {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;
using tensor::Weight;

constexpr uint32_t kNoRow = ExpertSlots::kNoRow;
// Expert outputs per task, as in product.cc.
constexpr size_t kOutputsPerTask = 64;

/// Index of the first float of a row in lane blocks of `features` features.
int32_t row_offset(size_t row, size_t features) {
  return static_cast<int32_t>((row / kLanes) * features * kLanes + row % kLanes);
}

/// Grows the workspace to `rows` rows: each expert's rows start at a block, so at most 15 lanes of padding for each
/// expert that has rows.
void reserve(ExpertWorkspace& space, size_t rows, const ExpertWeights& weights, size_t features) {
  const size_t touched = std::min(weights.experts, rows * weights.used);
  const size_t slots = rows * weights.used + touched * (kLanes - 1);
  if (slots <= space.reserved) return;
  space.reserved = slots;
  space.slots.row_of.reserve(slots);
  space.input = {slots, prepared_features(weights.arithmetic(), features)};
  space.hidden = {slots, prepared_features(weights.arithmetic(), weights.width)};
  space.output = {slots, features};
}

void place(ExpertSlots& slots, size_t experts, size_t used, std::span<const uint32_t> rows,
           const Assignment& assignment) {
  slots.tokens.assign(experts, 0);
  for (const Assignment::Entry& e : assignment.entries) ++slots.tokens[e.expert];
  slots.first_block.assign(experts + 1, 0);
  for (size_t e = 0; e < experts; ++e)
    slots.first_block[e + 1] = slots.first_block[e] + static_cast<uint32_t>(tensor::blocks_for(slots.tokens[e]));
  slots.row_of.assign(slots.blocks() * kLanes, kNoRow);
  slots.slot_of.resize(assignment.entries.size());
  slots.next.assign(slots.first_block.begin(), slots.first_block.end());
  for (uint32_t& slot : slots.next) slot *= static_cast<uint32_t>(kLanes);
  for (size_t i = 0; i < assignment.entries.size(); ++i) {
    const uint32_t slot = slots.next[assignment.entries[i].expert]++;
    slots.slot_of[i] = slot;
    slots.row_of[slot] = rows[i / used];
  }
}

void products(Exec& exec, const ExpertWeights& weights, ConstBlocks x, ExpertWorkspace& space) {
  const ExpertSlots& slots = space.slots;
  const size_t features = x.features, width = weights.width;
  const Blocks input = space.input.view(slots.blocks()), hidden = space.hidden.view(slots.blocks());
  const Blocks output = space.output.view(slots.blocks());
  gather_slots(exec, slots, x, input);
  const size_t up_tasks = (width + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(weights.experts * up_tasks, [&](size_t task, int worker) {
    const size_t expert = task / up_tasks, first = task % up_tasks * kOutputsPerTask;
    const Blocks in = slots.blocks_of(input, expert);
    if (in.blocks == 0) return;
    const size_t count = std::min(kOutputsPerTask, width - first);
    const Blocks up{exec.scratch(worker, in.blocks * count * kLanes), in.blocks, count, count * kLanes};
    const Blocks gate = slots.blocks_of(hidden, expert).feature_range(first, count);
    const size_t row = expert * weights.stride + first;
    product_on_this_thread(exec, worker, weights.gate.row_range(row, count), in, gate);
    product_on_this_thread(exec, worker, weights.up.row_range(row, count), in, up);
    for (size_t b = 0; b < in.blocks; ++b) exec.kernels().gelu_mul(gate.block(b), up.block(b), gate.block(b), count);
  });
  const size_t down_tasks = (features + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(weights.experts * down_tasks, [&](size_t task, int worker) {
    const size_t expert = task / down_tasks, first = task % down_tasks * kOutputsPerTask;
    const Blocks in = slots.blocks_of(hidden, expert);
    if (in.blocks == 0) return;
    const size_t count = std::min(kOutputsPerTask, features - first);
    product_on_this_thread(exec, worker, weights.down.row_range(expert * weights.down_stride + first, count), in,
                           slots.blocks_of(output, expert).feature_range(first, count));
  });
}

/// out[row] = the weighted sum of the row's slots, in ascending order of experts.
void sum_up(Exec& exec, std::span<const uint32_t> rows, size_t used, const Assignment& assignment,
            ExpertWorkspace& space, Blocks out) {
  const size_t features = out.features;
  const float* output = space.output.view().data;
  std::vector<uint32_t>& index_of = space.index_of;
  index_of.assign(out.blocks * kLanes, kNoRow);
  for (size_t i = 0; i < rows.size(); ++i) index_of[rows[i]] = static_cast<uint32_t>(i);
  exec.run(out.blocks, [&](size_t b, int worker) {
    float* sum = out.block(b);
    float* part = exec.scratch(worker, features * kLanes);  // [D, 16]
    std::fill_n(sum, features * kLanes, 0.0f);
    for (size_t t = 0; t < used; ++t) {
      int32_t offset[kLanes] = {};
      float weight[kLanes] = {};
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const uint32_t i = index_of[b * kLanes + lane];
        if (i == kNoRow) continue;
        offset[lane] = row_offset(space.slots.slot_of[i * used + t], features);
        weight[lane] = assignment.entries[i * used + t].weight;
      }
      exec.kernels().gather_rows(output, offset, part, features);
      for (size_t d = 0; d < features; ++d)
        for (size_t lane = 0; lane < kLanes; ++lane) sum[d * kLanes + lane] += weight[lane] * part[d * kLanes + lane];
    }
  });
}

}  // namespace

void choose_experts(ConstBlocks scores, std::span<const uint32_t> rows, const float* per_expert_scale, size_t used,
                    Assignment& out) {
  const size_t count = scores.features;
  out.entries.clear();
  std::vector<float>& p = out.probability;
  std::vector<uint32_t>& order = out.order;
  p.resize(count), order.resize(count);
  for (const uint32_t row : rows) {
    float largest = -std::numeric_limits<float>::infinity();
    for (size_t e = 0; e < count; ++e) largest = std::max(largest, p[e] = scores.at(row, e));
    // The softmax's denominator cancels where the weights are divided by their sum.
    for (size_t e = 0; e < count; ++e) {
      p[e] = std::exp(p[e] - largest);
      order[e] = static_cast<uint32_t>(e);
    }
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(used), order.end(),
                      [&](uint32_t a, uint32_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
    float sum = 0;
    for (size_t t = 0; t < used; ++t) sum += p[order[t]];
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(used));
    for (size_t t = 0; t < used; ++t) out.entries.push_back({order[t], p[order[t]] / sum * per_expert_scale[order[t]]});
  }
}

void gather_slots(Exec& exec, const ExpertSlots& slots, ConstBlocks x, Blocks out) {
  DG_CHECK(x.block_stride == x.features * kLanes && x.features == out.features, "x must be whole blocks");
  exec.run(slots.blocks(), [&](size_t b, int) {
    int32_t offset[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {  // a padding lane repeats the block's first row: finite, never read
      const uint32_t row = slots.row_of[b * kLanes + lane];
      offset[lane] = row_offset(row != kNoRow ? row : slots.row_of[b * kLanes], x.features);
    }
    exec.kernels().gather_rows(x.data, offset, out.block(b), x.features);
  });
}

void experts(Exec& exec, const ExpertWeights& weights, ConstBlocks x, std::span<const uint32_t> rows,
             const Assignment& assignment, ExpertWorkspace& space, Blocks out) {
  DG_CHECK(assignment.entries.size() == rows.size() * weights.used, assignment.entries.size(), " entries, ",
           rows.size(), " rows");
  DG_CHECK(out.features == x.features, x.features, " ", out.features);
  reserve(space, rows.size(), weights, x.features);
  place(space.slots, weights.experts, weights.used, rows, assignment);
  if (weights.arithmetic() == tensor::Arithmetic::kF32)
    products(exec, weights, x, space);
  else
    prepared_expert_products(exec, weights, x, space);
  sum_up(exec, rows, weights.used, assignment, space, out);
}

}  // namespace dgemma::ops
