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
constexpr size_t kFewOutputs = 512;      // for few rows, of all experts
constexpr size_t kSummedFeatures = 256;  // of 16 rows, a third of a first cache

/// Each expert's rows start at a block, so at most 15 lanes of padding for each expert that has rows.
size_t most_slots(const ExpertWeights& weights, size_t rows) {
  return rows * weights.used + std::min(weights.experts, rows * weights.used) * (kLanes - 1);
}

/// Grows the workspace to `rows` rows; ExpertWorkspace::planned_bytes counts what is taken here and in place().
void reserve(ExpertWorkspace& space, size_t blocks, size_t rows, const ExpertWeights& weights) {
  const size_t features = weights.gate.cols;
  const size_t slots = most_slots(weights, rows),
               words = blocks * kLanes * prepared_features(weights.arithmetic(), features);
  space.features = features;
  space.rows.grow(words);
  if (slots <= space.reserved) return;
  space.reserved = slots;
  space.slots.row_of.reserve(slots);
  space.input = {slots, prepared_features(weights.arithmetic(), features)};
  space.hidden = {slots, prepared_features(weights.arithmetic(), weights.width)};
  space.output.grow(std::max(slots, kLanes) * features);
}

}  // namespace

uint64_t ExpertWorkspace::planned_bytes(const ExpertWeights& weights, size_t rows) {
  const size_t features = weights.gate.cols, slots = tensor::blocks_for(most_slots(weights, rows)) * kLanes;
  const uint64_t floats = prepared_features(weights.arithmetic(), features) +
                          prepared_features(weights.arithmetic(), weights.width) + features;
  const uint64_t input = tensor::blocks_for(rows) * kLanes * prepared_features(weights.arithmetic(), features);
  const uint64_t lists = slots + rows * (weights.used + 1) + 4 * (weights.experts + 1);
  return (slots * floats + input) * sizeof(float) + lists * sizeof(uint32_t) +
         rows * weights.used * sizeof(Assignment::Entry);
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

/// Block b of space.input = the rows of its slots, out of x.
void gather_slots(Exec& exec, ConstBlocks x, ExpertWorkspace& space) {
  const size_t features = x.features;
  float* const rows = space.rows.data();
  exec.run(x.blocks, [&](size_t b, int) {
    exec.kernels().lanes_to_rows_f32(x.block(b), features, rows + b * kLanes * features, features, kLanes);
  });
  const ExpertSlots& slots = space.slots;
  exec.run(slots.blocks(), [&](size_t b, int) {
    const float* from[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {  // a padding lane repeats the block's first row: finite, never read
      const uint32_t row = slots.row_of[b * kLanes + lane];
      from[lane] = rows + (row != kNoRow ? row : slots.row_of[b * kLanes]) * features;
    }
    exec.kernels().gather_rows(from, space.input.view().block(b), features);
  });
}

/// Up to `most` outputs from `first` on of one expert's down product, to the rows of its slots.
void down_product(Exec& exec, int worker, const ExpertWeights& weights, size_t expert, size_t first, size_t most,
                  ExpertWorkspace& space) {
  const ExpertSlots& slots = space.slots;
  const size_t features = weights.gate.cols, count = std::min(most, features - first);
  const Blocks in = slots.blocks_of(space.hidden.view(), expert);
  const Blocks part{exec.scratch(worker, in.blocks * count * kLanes), in.blocks, count, count * kLanes};
  prepared_product_on_this_thread(exec, worker, weights.down.row_range(expert * weights.down_stride + first, count), in,
                                  slots.tokens[expert], part);
  for (size_t b = 0; b < part.blocks; ++b)
    exec.kernels().lanes_to_rows_f32(part.block(b), count,
                                     space.output.data() + (slots.first_block[expert] + b) * kLanes * features + first,
                                     features, tensor::rows_in(slots.tokens[expert], b, 1));
}

/// How one of the two products is cut into tasks: the experts with many rows, which come first, in parts of `step`
/// outputs; those with few not at all, where they are enough for all threads to end together.
struct ExpertTasks {
  size_t outputs, step, parts, cut, experts;

  ExpertTasks(const Exec& exec, const ExpertSlots& slots, size_t all_outputs, size_t outputs_of_part)
      : outputs(all_outputs),
        step(outputs_of_part),
        parts((outputs + step - 1) / step),
        cut(0),
        experts(slots.by_size.size()) {
    while (cut < experts && slots.tokens[slots.by_size[cut]] > kExpertRows) ++cut;
    if (experts - cut < 8 * static_cast<size_t>(exec.threads())) cut = experts;
  }

  size_t count() const { return cut * parts + (experts - cut); }
  bool whole(size_t task) const { return task >= cut * parts; }
  size_t place(size_t task) const { return whole(task) ? task - cut * (parts - 1) : task / parts; }  // in by_size
  size_t first(size_t task) const { return whole(task) ? 0 : task % parts * step; }
  size_t most(size_t task) const { return whole(task) ? outputs : step; }
};

/// Fills space.output by slot. Experts with many rows come first, so that what is left at the end is small.
void expert_products(Exec& exec, const ExpertWeights& weights, ConstBlocks x, ExpertWorkspace& space) {
  const Arithmetic kind = weights.arithmetic();
  DG_CHECK(weights.up.arithmetic() == kind && weights.down.arithmetic() == kind, "experts are multiplied in one way");
  const ExpertSlots& slots = space.slots;
  const size_t blocks = slots.blocks(), width = weights.width, features = weights.gate.cols;
  const Blocks input = space.input.view(blocks), hidden = space.hidden.view(blocks);
  gather_slots(exec, x, space);

  const ExpertTasks up(exec, slots, width, hidden_step(exec, kind));
  exec.run(up.count(), [&](size_t task, int worker) {
    const size_t expert = slots.by_size[up.place(task)];
    hidden_features(exec, worker, weights, expert, up.first(task), up.most(task), slots.blocks_of(input, expert),
                    slots.tokens[expert], slots.blocks_of(hidden, expert));
  });
  const ExpertTasks down(exec, slots, features, kExpertOutputs);
  exec.run(down.count(), [&](size_t task, int worker) {
    down_product(exec, worker, weights, slots.by_size[down.place(task)], down.first(task), down.most(task), space);
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
/// rows, which are not gathered, and what it gives to the rows that did not choose it counts nothing. space.output
/// becomes the sum, a lane block.
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
    float* sum = space.output.data() + first * kLanes;
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

void experts(Exec& exec, const ExpertWeights& weights, ConstBlocks x, std::span<const uint32_t> rows,
             const Assignment& assignment, ExpertWorkspace& space) {
  DG_CHECK(!rows.empty() && assignment.entries.size() == rows.size() * weights.used, assignment.entries.size(),
           " entries, ", rows.size(), " rows");
  DG_CHECK(x.features == prepared_features(weights.arithmetic(), weights.gate.cols), x.features, " features");
  reserve(space, x.blocks, rows.size(), weights);
  space.summed = x.blocks == 1 && rows.back() < kFewRows;
  if (space.summed) return experts_of_few_rows(exec, weights, x, rows, assignment, space);
  place(space.slots, weights.experts, weights.used, rows, assignment);
  expert_products(exec, weights, x, space);
  space.index_of.assign(x.blocks * kLanes, kNoRow);
  for (size_t i = 0; i < rows.size(); ++i) space.index_of[rows[i]] = static_cast<uint32_t>(i);
}

void sum_of_experts(Exec& exec, int worker, const Assignment& assignment, size_t used, const ExpertWorkspace& space,
                    size_t block, float* out) {
  const float* output = space.output.data();
  const size_t features = space.features;
  if (space.summed) {
    std::copy_n(output, features * kLanes, out);
    return;
  }
  constexpr size_t kPointerFloats = sizeof(const float*) / sizeof(float);
  const size_t entries = kLanes * used;
  auto* rows =
      reinterpret_cast<const float**>(exec.scratch(worker, (kPointerFloats + 1) * entries + kLanes * kSummedFeatures));
  float* weights = reinterpret_cast<float*>(rows + entries);  // [16, T], as rows
  float* sums = weights + entries;                            // [16, kSummedFeatures]
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const uint32_t i = space.index_of[block * kLanes + lane];
    for (size_t t = 0; i != kNoRow && t < used; ++t) {
      rows[lane * used + t] = output + space.slots.slot_of[i * used + t] * features;
      weights[lane * used + t] = assignment.entries[i * used + t].weight;
    }
  }
  for (size_t first = 0; first < features; first += kSummedFeatures) {
    const size_t count = std::min(kSummedFeatures, features - first);
    const float* from[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      float* sum = sums + lane * kSummedFeatures;
      from[lane] = sum;
      const float** row = rows + lane * used;
      const bool listed = space.index_of[block * kLanes + lane] != kNoRow;
      exec.kernels().sum_rows(row, weights + lane * used, listed ? used : 0, sum, count);
      for (size_t t = 0; listed && t < used; ++t) row[t] += count;
    }
    exec.kernels().gather_rows(from, out + first * kLanes, count);
  }
}

}  // namespace dgemma::ops
