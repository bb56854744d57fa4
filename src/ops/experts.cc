// See experts.h.
#include "ops/experts.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/prepared_product.h"
#include "ops/product.h"

namespace dgemma::ops {
namespace {

using tensor::Arithmetic;
using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;
using tensor::Weight;

constexpr uint32_t kNoRow = ExpertSlots::kNoRow;
constexpr size_t kHiddenStep = 64;   // hidden features per task, at least
constexpr size_t kMostHidden = 256;  // for few rows
constexpr size_t kRowsPerChoice = 16;
constexpr size_t kOutputsPerTask = 256;  // of a down product, whose sums are short
constexpr size_t kFewOutputs = 512;      // for few rows, of all experts

/// Index of the first float of a row in lane blocks of `features` features.
int32_t row_offset(size_t row, size_t features) {
  return static_cast<int32_t>((row / kLanes) * features * kLanes + row % kLanes);
}

/// Each expert's rows start at a block, so at most 15 lanes of padding for each expert that has rows.
size_t most_slots(const ExpertWeights& weights, size_t rows) {
  return rows * weights.used + std::min(weights.experts, rows * weights.used) * (kLanes - 1);
}

/// Grows the workspace to `rows` rows; ExpertWorkspace::planned_bytes counts what is taken here and in place().
void reserve(ExpertWorkspace& space, size_t rows, const ExpertWeights& weights) {
  const size_t features = weights.gate.cols;
  const size_t slots = most_slots(weights, rows);
  if (slots <= space.reserved) return;
  space.reserved = slots;
  space.slots.row_of.reserve(slots);
  space.input = {slots, prepared_features(weights.arithmetic(), features)};
  space.hidden = {slots, prepared_features(weights.arithmetic(), weights.width)};
  space.output = {slots, features};
}

}  // namespace

uint64_t ExpertWorkspace::planned_bytes(const ExpertWeights& weights, size_t rows) {
  const size_t features = weights.gate.cols, slots = tensor::blocks_for(most_slots(weights, rows)) * kLanes;
  const uint64_t floats = prepared_features(weights.arithmetic(), features) +
                          prepared_features(weights.arithmetic(), weights.width) + features;
  const uint64_t lists = slots + rows * (weights.used + 1) + 4 * (weights.experts + 1);
  return slots * floats * sizeof(float) + lists * sizeof(uint32_t) + rows * weights.used * sizeof(Assignment::Entry);
}

namespace {

void place(ExpertSlots& slots, size_t experts, size_t used, std::span<const uint32_t> rows,
           const Assignment& assignment) {
  slots.tokens.assign(experts, 0);
  for (const Assignment::Entry& e : assignment.entries) ++slots.tokens[e.expert];
  slots.first_block.assign(experts + 1, 0);
  for (size_t e = 0; e < experts; ++e)
    slots.first_block[e + 1] = slots.first_block[e] + static_cast<uint32_t>(tensor::blocks_for(slots.tokens[e]));
  slots.by_size.clear();
  for (uint32_t e = 0; e < experts; ++e)
    if (slots.tokens[e] > 0) slots.by_size.push_back(e);
  std::sort(slots.by_size.begin(), slots.by_size.end(), [&](uint32_t a, uint32_t b) {
    return slots.tokens[a] != slots.tokens[b] ? slots.tokens[a] > slots.tokens[b] : a < b;
  });
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

/// A task's hidden features are prepared for the second product where they are computed.
size_t hidden_step(const Exec& exec, Arithmetic arithmetic) {
  return std::max(kHiddenStep, prepared_together(exec, arithmetic));
}

/// Up to `most` features from `first` on of one expert's gelu(gate x) * up x, prepared, to their place in `out`.
void hidden_features(Exec& exec, int worker, const ExpertWeights& weights, size_t expert, size_t first, size_t most,
                     ConstBlocks in, size_t tokens, Blocks out) {
  const size_t count = std::min(most, weights.width - first), row = expert * weights.stride + first;
  const Arithmetic kind = weights.arithmetic();
  gated_product_on_this_thread(exec, worker, weights.gate.row_range(row, count), weights.up.row_range(row, count), in,
                               tokens, kind,
                               out.feature_range(prepared_features(kind, first), prepared_features(kind, count)));
}

/// Fills space.output by slot. Experts with many rows come first, so that what is left at the end is small.
void expert_products(Exec& exec, const ExpertWeights& weights, ConstBlocks x, ExpertWorkspace& space) {
  const Arithmetic kind = weights.arithmetic();
  DG_CHECK(weights.up.arithmetic() == kind && weights.down.arithmetic() == kind, "experts are multiplied in one way");
  const ExpertSlots& slots = space.slots;
  const size_t blocks = slots.blocks(), width = weights.width, features = weights.gate.cols;
  const Blocks input = space.input.view(blocks), hidden = space.hidden.view(blocks), output = space.output.view(blocks);
  gather_slots(exec, slots, x, input);

  const size_t step = hidden_step(exec, kind), up_tasks = (width + step - 1) / step;
  exec.run(slots.by_size.size() * up_tasks, [&](size_t task, int worker) {
    const size_t expert = slots.by_size[task / up_tasks];
    hidden_features(exec, worker, weights, expert, task % up_tasks * step, step, slots.blocks_of(input, expert),
                    slots.tokens[expert], slots.blocks_of(hidden, expert));
  });
  const size_t down_tasks = (features + kOutputsPerTask - 1) / kOutputsPerTask;
  exec.run(slots.by_size.size() * down_tasks, [&](size_t task, int worker) {
    const size_t expert = slots.by_size[task / down_tasks], first = task % down_tasks * kOutputsPerTask;
    const size_t count = std::min(kOutputsPerTask, features - first);
    prepared_product_on_this_thread(exec, worker, weights.down.row_range(expert * weights.down_stride + first, count),
                                    slots.blocks_of(hidden, expert), slots.tokens[expert],
                                    slots.blocks_of(output, expert).feature_range(first, count));
  });
}

/// The experts of one row; p is memory for [E].
void choose_for_row(ConstBlocks scores, uint32_t row, const float* per_expert_scale, std::span<float> p,
                    std::span<Assignment::Entry> out) {
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t e = 0; e < p.size(); ++e) largest = std::max(largest, p[e] = scores.at(row, e));
  // The softmax's denominator cancels where the weights are divided by their sum.
  for (float& v : p) v = std::exp(v - largest);
  size_t count = 0;  // of the largest so far, the lower index first where equal
  for (uint32_t e = 0; e < p.size(); ++e) {
    if (count == out.size() && !(p[e] > out.back().weight)) continue;
    size_t at = count < out.size() ? count++ : count - 1;
    for (; at > 0 && p[e] > out[at - 1].weight; --at) out[at] = out[at - 1];
    out[at] = {e, p[e]};
  }
  float sum = 0;
  for (const Assignment::Entry& entry : out) sum += entry.weight;
  for (Assignment::Entry& entry : out) entry.weight = entry.weight / sum * per_expert_scale[entry.expert];
  std::sort(out.begin(), out.end(), [](const auto& x, const auto& y) { return x.expert < y.expert; });
}

/// For a few rows of one block, by reading all touched experts at the pace of the memory: every expert multiplies all
/// rows, which are not gathered, and what it gives to the rows that did not choose it counts nothing. The first block
/// of space.output becomes the sum.
void experts_of_few_rows(Exec& exec, const ExpertWeights& weights, ConstBlocks x, std::span<const uint32_t> rows,
                         const Assignment& assignment, ExpertWorkspace& space) {
  const size_t features = weights.gate.cols, tokens = rows.back() + 1;
  std::vector<uint32_t>& touched = space.slots.by_size;  // in ascending order here
  touched.clear();
  for (const Assignment::Entry& e : assignment.entries) touched.push_back(e.expert);
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());

  const Blocks hidden = space.hidden.view(touched.size());
  const size_t step = hidden_step(exec, weights.arithmetic());
  const size_t up_share = exec.rows_per_task(touched.size() * weights.width, step, std::max(step, kMostHidden));
  const size_t up_tasks = (weights.width + up_share - 1) / up_share;
  exec.run(touched.size() * up_tasks, [&](size_t task, int worker) {
    const size_t i = task / up_tasks;
    hidden_features(exec, worker, weights, touched[i], task % up_tasks * up_share, up_share, x, tokens,
                    hidden.block_range(i, 1));
  });

  const size_t share = exec.rows_per_task(features, 2 * tensor::kPanelRows, kFewOutputs);
  exec.run((features + share - 1) / share, [&](size_t task, int worker) {
    const size_t first = task * share, count = std::min(share, features - first);
    const Blocks part{exec.scratch(worker, count * kLanes), 1, count, count * kLanes};
    float* sum = space.output.view().block(0) + first * kLanes;
    std::fill_n(sum, count * kLanes, 0.0f);
    for (size_t i = 0; i < touched.size(); ++i) {
      prepared_product_on_this_thread(exec, worker,
                                      weights.down.row_range(touched[i] * weights.down_stride + first, count),
                                      hidden.block_range(i, 1), tokens, part);
      float weight[kLanes] = {};
      for (size_t e = 0; e < assignment.entries.size(); ++e)
        if (assignment.entries[e].expert == touched[i]) weight[rows[e / weights.used]] = assignment.entries[e].weight;
      exec.kernels().add_weighted(part.data, weight, sum, count);
    }
  });
}

}  // namespace

void choose_experts(Exec& exec, ConstBlocks scores, std::span<const uint32_t> rows, const float* per_expert_scale,
                    size_t used, Assignment& out) {
  out.entries.resize(rows.size() * used);
  exec.run((rows.size() + kRowsPerChoice - 1) / kRowsPerChoice, [&](size_t task, int worker) {
    float* p = exec.scratch(worker, scores.features);  // [E]
    const size_t end = std::min(rows.size(), (task + 1) * kRowsPerChoice);
    for (size_t i = task * kRowsPerChoice; i < end; ++i)
      choose_for_row(scores, rows[i], per_expert_scale, {p, scores.features}, {&out.entries[i * used], used});
  });
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
             const Assignment& assignment, ExpertWorkspace& space) {
  DG_CHECK(!rows.empty() && assignment.entries.size() == rows.size() * weights.used, assignment.entries.size(),
           " entries, ", rows.size(), " rows");
  DG_CHECK(x.features == prepared_features(weights.arithmetic(), weights.gate.cols), x.features, " features");
  reserve(space, rows.size(), weights);
  space.summed = x.blocks == 1 && rows.back() < kFewRows;
  if (space.summed) return experts_of_few_rows(exec, weights, x, rows, assignment, space);
  place(space.slots, weights.experts, weights.used, rows, assignment);
  expert_products(exec, weights, x, space);
  space.index_of.assign(x.blocks * kLanes, kNoRow);
  for (size_t i = 0; i < rows.size(); ++i) space.index_of[rows[i]] = static_cast<uint32_t>(i);
}

void sum_of_experts(Exec& exec, int worker, const Assignment& assignment, size_t used, const ExpertWorkspace& space,
                    size_t block, float* out) {
  const ConstBlocks output = space.output.view();
  const size_t features = output.features;
  if (space.summed) {
    std::copy_n(output.data, features * kLanes, out);
    return;
  }
  float* part = exec.scratch(worker, features * kLanes);  // [D, 16]
  std::fill_n(out, features * kLanes, 0.0f);
  for (size_t t = 0; t < used; ++t) {
    int32_t offset[kLanes] = {};
    float weight[kLanes] = {};
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t i = space.index_of[block * kLanes + lane];
      if (i == kNoRow) continue;
      offset[lane] = row_offset(space.slots.slot_of[i * used + t], features);
      weight[lane] = assignment.entries[i * used + t].weight;
    }
    exec.kernels().gather_rows(output.data, offset, part, features);
    exec.kernels().add_weighted(part, weight, out, features);
  }
}

}  // namespace dgemma::ops
