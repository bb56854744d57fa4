// See experts.h.
#include "ops/experts.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/product.h"

namespace dgemma::ops {
namespace {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;
using tensor::Weight;

constexpr uint32_t kNoRow = ~uint32_t{0};
// Expert outputs per task, as in product.cc.
constexpr size_t kOutputsPerTask = 64;

/// Index of the first float of a row in lane blocks of `features` features.
int32_t row_offset(size_t row, size_t features) {
  return static_cast<int32_t>((row / kLanes) * features * kLanes + row % kLanes);
}

}  // namespace

void choose_experts(ConstBlocks scores, std::span<const uint32_t> rows, const float* per_expert_scale, size_t used,
                    Assignment& out) {
  const size_t count = scores.features;
  out.entries.clear();
  std::vector<float> p(count);
  std::vector<uint32_t> order(count);
  for (const uint32_t row : rows) {
    float largest = -std::numeric_limits<float>::infinity();
    for (size_t e = 0; e < count; ++e) largest = std::max(largest, p[e] = scores.at(row, e));
    for (size_t e = 0; e < count;
         ++e) {  // the softmax's denominator cancels where the weights are divided by their sum
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

void ExpertWorkspace::reserve(size_t rows, const ExpertWeights& weights, size_t features) {
  // Each expert's rows start at a block: at most 15 padding lanes for each expert that has rows.
  const size_t touched = std::min(weights.experts, rows * weights.used);
  const size_t slots = rows * weights.used + touched * (kLanes - 1);
  if (slots <= slots_) return;
  slots_ = slots;
  input_ = tensor::BlockMatrix(slots, features);
  hidden_ = tensor::BlockMatrix(slots, weights.width);
  output_ = tensor::BlockMatrix(slots, features);
}

void experts(Exec& exec, const ExpertWeights& weights, ConstBlocks x, std::span<const uint32_t> rows,
             const Assignment& assignment, ExpertWorkspace& space, Blocks out) {
  const size_t features = x.features, width = weights.width, used = weights.used;
  DG_CHECK(assignment.entries.size() == rows.size() * used, assignment.entries.size(), " entries, ", rows.size(),
           " rows");
  DG_CHECK(x.block_stride == features * kLanes && out.features == features, "x must be whole blocks");
  space.reserve(rows.size(), weights, features);

  // Slots: the rows of expert 0, padded to whole blocks, then those of expert 1, ...
  space.first_block_.assign(weights.experts + 1, 0);
  for (const Assignment::Entry& e : assignment.entries) ++space.first_block_[e.expert + 1];
  for (size_t e = 0; e < weights.experts; ++e)
    space.first_block_[e + 1] =
        space.first_block_[e] + static_cast<uint32_t>(tensor::blocks_for(space.first_block_[e + 1]));
  const size_t blocks = space.first_block_.back();
  space.row_of_.assign(blocks * kLanes, kNoRow);
  space.slot_of_.resize(assignment.entries.size());
  std::vector<uint32_t> next(weights.experts);
  for (size_t e = 0; e < weights.experts; ++e) next[e] = space.first_block_[e] * static_cast<uint32_t>(kLanes);
  for (size_t i = 0; i < assignment.entries.size(); ++i) {
    const uint32_t slot = next[assignment.entries[i].expert]++;
    space.slot_of_[i] = slot;
    space.row_of_[slot] = rows[i / used];
  }

  const Blocks input = space.input_.view(blocks);
  const Blocks hidden = space.hidden_.view(blocks);
  const Blocks output = space.output_.view(blocks);
  exec.run(blocks, [&](size_t b, int) {
    int32_t offset[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {  // a padding lane repeats the block's first row: finite, never read
      const uint32_t row = space.row_of_[b * kLanes + lane];
      offset[lane] = row_offset(row != kNoRow ? row : space.row_of_[b * kLanes], features);
    }
    exec.kernels().gather_rows(x.data, offset, input.block(b), features);
  });

  const auto blocks_of = [&](Blocks all, size_t expert) {
    return all.block_range(space.first_block_[expert], space.first_block_[expert + 1] - space.first_block_[expert]);
  };
  const size_t up_tasks = (width + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(weights.experts * up_tasks, [&](size_t task, int worker) {
    const size_t expert = task / up_tasks, first = task % up_tasks * kOutputsPerTask;
    const Blocks in = blocks_of(input, expert);
    if (in.blocks == 0) return;
    const size_t count = std::min(kOutputsPerTask, width - first);
    const Blocks up{exec.scratch(worker, in.blocks * count * kLanes), in.blocks, count, count * kLanes};
    const Blocks gate = blocks_of(hidden, expert).feature_range(first, count);
    const size_t row = expert * weights.stride + first;
    product_on_this_thread(exec, worker, weights.gate.row_range(row, count), in, gate);
    product_on_this_thread(exec, worker, weights.up.row_range(row, count), in, up);
    for (size_t b = 0; b < in.blocks; ++b) exec.kernels().gelu_mul(gate.block(b), up.block(b), gate.block(b), count);
  });
  const size_t down_tasks = (features + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(weights.experts * down_tasks, [&](size_t task, int worker) {
    const size_t expert = task / down_tasks, first = task % down_tasks * kOutputsPerTask;
    const Blocks in = blocks_of(hidden, expert);
    if (in.blocks == 0) return;
    const size_t count = std::min(kOutputsPerTask, features - first);
    product_on_this_thread(exec, worker, weights.down.row_range(expert * features + first, count), in,
                           blocks_of(output, expert).feature_range(first, count));
  });

  std::vector<uint32_t> index_of(out.blocks * kLanes, kNoRow);
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
        offset[lane] = row_offset(space.slot_of_[i * used + t], features);
        weight[lane] = assignment.entries[i * used + t].weight;
      }
      exec.kernels().gather_rows(output.data, offset, part, features);
      for (size_t d = 0; d < features; ++d)
        for (size_t lane = 0; lane < kLanes; ++lane) sum[d * kLanes + lane] += weight[lane] * part[d * kLanes + lane];
    }
  });
}

}  // namespace dgemma::ops
