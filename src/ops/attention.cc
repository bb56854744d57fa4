// See attention.h.
#include "ops/attention.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"
#include "ops/few_rows.h"
#include "ops/seen_keys.h"

namespace dgemma::ops {
namespace {

using kernels::SoftmaxLanes;
using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::DType;
using tensor::kLanes;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Lane blocks that walk over their keys together, so that each tile of keys and values is read and turned once for all
// of them: at most so many, and no more than whose queries, scores and sums stay in a second-level cache.
constexpr size_t kMostBlocks = 16;
constexpr size_t kCacheBytes = size_t{3} << 19;

size_t block_bytes(size_t heads, size_t head_dim) {
  return heads * kLanes * (head_dim * (sizeof(float) + sizeof(uint16_t)) + kKeyTile * sizeof(float));
}

size_t most_blocks(size_t heads, size_t head_dim) {
  return std::clamp(kCacheBytes / block_bytes(heads, head_dim), size_t{1}, kMostBlocks);
}

// Floats of a unit of an AttentionTask: statistics, scale, sums and scores; and of its queries in pairs.
size_t unit_floats(size_t head_dim) {
  return sizeof(SoftmaxLanes) / sizeof(float) + kLanes * (1 + head_dim + static_cast<size_t>(kKeyTile));
}
size_t unit_weight_floats(size_t head_dim) { return head_dim * kLanes / 2; }
size_t value_floats(size_t head_dim) { return static_cast<size_t>(kKeyTile) / 2 * head_dim; }

/// The query heads of one kv head in some lane blocks that see the same runs. A "unit" is one of the heads in one of
/// the blocks, in this order.
class AttentionTask {
 public:
  AttentionTask(Exec& exec, int worker, size_t heads, size_t kv_offset, ConstBlocks q, std::span<const BlockKeys> keys)
      : table_(exec.kernels()),
        heads_(heads),
        head_dim_(q.features / heads),
        kv_offset_(kv_offset),
        q_(q),
        keys_(keys),
        units_(q.blocks * heads) {
    float* memory = exec.scratch(worker, units_ * unit_floats(head_dim_));
    stats_ = reinterpret_cast<SoftmaxLanes*>(memory);
    rescale_ = reinterpret_cast<float*>(stats_ + units_);
    sums_ = rescale_ + units_ * kLanes;
    scores_ = sums_ + units_ * head_floats();
    std::fill_n(sums_, units_ * head_floats(), 0.0f);
    for (size_t unit = 0; unit < units_; ++unit) {
      stats_[unit] = {};
      std::fill_n(stats_[unit].max, kLanes, -kInfinity);
    }
    if (std::ranges::any_of(keys.front(), [](const KeyRun& run) { return run.dtype == DType::kBF16; }))
      round_queries(exec, worker);
  }

  void add_run(size_t r) {
    const KeyRun& run = keys_.front()[r];
    if (run.keys == nullptr) return;
    std::array<SeenKeys, kMostBlocks> seen;
    int32_t low = std::numeric_limits<int32_t>::max(), high = 0;
    for (size_t block = 0; block < q_.blocks; ++block) {
      seen[block] = SeenKeys(keys_[block][r]);
      low = std::min(low, seen[block].first_tile()), high = std::max(high, seen[block].end());
    }
    for (int32_t first = low; first < high; first += kKeyTile) add_tile(run, std::span(seen).first(q_.blocks), first);
  }

  void finish(Blocks out) {
    for (size_t unit = 0; unit < units_; ++unit) {
      float inverse[kLanes];
      for (size_t lane = 0; lane < kLanes; ++lane)
        inverse[lane] = stats_[unit].sum[lane] > 0 ? static_cast<float>(1.0 / stats_[unit].sum[lane]) : 0.0f;
      float* sums = sums_ + unit * head_floats();
      table_.scale_lanes(sums, inverse, head_dim_);
      std::copy_n(sums, head_floats(), out.block(unit / heads_) + unit % heads_ * head_floats());
    }
  }

 private:
  size_t head_floats() const { return head_dim_ * kLanes; }

  void round_queries(Exec& exec, int worker) {
    DG_CHECK(head_dim_ % 2 == 0, "bf16 heads of ", head_dim_);
    q_pairs_ = exec.weight_scratch(worker, units_ * unit_weight_floats(head_dim_) + value_floats(head_dim_));
    values_ = reinterpret_cast<uint32_t*>(q_pairs_ + units_ * head_floats() / 2);
    for (size_t block = 0; block < q_.blocks; ++block)
      table_.round_pairs(q_.block(block), q_.features, q_pairs_ + block * heads_ * head_floats() / 2);
  }

  /// Blocks from .. to, which see (nearly) the same keys of a tile.
  struct Group {
    size_t from, to;
    KeyRange keys;
  };

  void add_tile(const KeyRun& run, std::span<const SeenKeys> seen, int32_t first) {
    std::array<Group, kMostBlocks> groups;
    size_t count = 0;
    KeyRange all{first + kKeyTile, first};
    const auto in_steps = [](KeyRange keys) { return KeyRange{keys.begin, (keys.end + kKeyStep - 1) / kKeyStep}; };
    for (size_t block = 0; block < seen.size(); ++block) {
      const KeyRange keys = seen[block].in_tile(first);
      if (keys.empty()) continue;
      all = {std::min(all.begin, keys.begin), std::max(all.end, keys.end)};
      if (count > 0 && groups[count - 1].to == block && in_steps(groups[count - 1].keys) == in_steps(keys)) {
        groups[count - 1].to = block + 1;
        groups[count - 1].keys.end = std::max(groups[count - 1].keys.end, keys.end);
      } else {
        groups[count++] = {block, block + 1, keys};
      }
    }
    const auto some = std::span(groups).first(count);
    if (run.dtype == DType::kBF16)
      add_pairs(run, seen, some, all);
    else
      for (const Group& group : some) add_floats(run, seen, group);
  }

  /// sums = sums * rescale + softmax(q k)^T v, with queries and probabilities rounded to bf16.
  void add_pairs(const KeyRun& run, std::span<const SeenKeys> seen, std::span<const Group> groups, KeyRange all) {
    const size_t half = head_floats() / 2;
    for (const Group& group : groups) {
      const size_t unit = group.from * heads_, end = group.to * heads_, count = group.keys.count();
      table_.product_pairs(static_cast<const uint16_t*>(run.keys) + offset(run, group.keys.begin), run.row_stride,
                           q_pairs_ + unit * half, half, scores(unit), kScoreFloats, end - unit, count, head_dim_);
      for (size_t u = unit; u < end; ++u) {
        seen[u / heads_].mask(group.keys, scores(u));
        table_.softmax_pairs(scores(u), count, &stats_[u], rescale_ + u * kLanes, scores(u));
        ask_for_values(run, group.keys, u - unit, end - unit);
      }
    }
    table_.interleave_rows(static_cast<const uint16_t*>(run.values) + offset(run, all.begin), run.row_stride,
                           all.count(), head_dim_, values_);
    for (const Group& group : groups) {
      const size_t unit = group.from * heads_;
      table_.weighted_sum_pairs(values_ + static_cast<size_t>(group.keys.begin - all.begin) / 2 * head_dim_, head_dim_,
                                scores(unit), kScoreFloats, sums_ + unit * head_floats(), head_floats(),
                                rescale_ + unit * kLanes, group.to * heads_ - unit, head_dim_,
                                2 * tensor::paired_features(group.keys.count()));
    }
  }

  /// Part `index` of `parts`, while the softmax computes: values lie far apart, and waiting for each took longer than
  /// all that is done with them.
  void ask_for_values(const KeyRun& run, KeyRange keys, size_t index, size_t parts) const {
    constexpr size_t kLine = tensor::kCacheLine / sizeof(uint16_t);
    const size_t step = (keys.count() + parts - 1) / parts;
    for (size_t i = index * step; i < std::min(keys.count(), (index + 1) * step); ++i)
      for (size_t d = 0; d < head_dim_; d += kLine)
        __builtin_prefetch(static_cast<const uint16_t*>(run.values) + offset(run, keys.begin) + i * run.row_stride + d,
                           0, 2);
  }

  /// The same in f32.
  void add_floats(const KeyRun& run, std::span<const SeenKeys> seen, const Group& group) {
    const size_t at = offset(run, group.keys.begin), count = group.keys.count();
    for (size_t block = group.from; block < group.to; ++block)
      table_.product_f32(static_cast<const float*>(run.keys) + at, run.row_stride, q_.block(block), head_floats(),
                         scores(block * heads_), kScoreFloats, heads_, count, head_dim_);
    const size_t unit = group.from * heads_, end = group.to * heads_;
    for (size_t u = unit; u < end; ++u) {
      seen[u / heads_].mask(group.keys, scores(u));
      table_.softmax_tile(scores(u), count, 0, &stats_[u], rescale_ + u * kLanes, nullptr);
    }
    table_.weighted_sum_f32(static_cast<const float*>(run.values) + at, run.row_stride, scores(unit), kScoreFloats,
                            sums_ + unit * head_floats(), head_floats(), rescale_ + unit * kLanes, end - unit,
                            head_dim_, count);
  }

  static constexpr size_t kScoreFloats = static_cast<size_t>(kKeyTile) * kLanes;
  float* scores(size_t unit) const { return scores_ + unit * kScoreFloats; }
  size_t offset(const KeyRun& run, int32_t key) const { return static_cast<size_t>(key) * run.row_stride + kv_offset_; }

  const kernels::KernelTable& table_;
  size_t heads_, head_dim_, kv_offset_;
  ConstBlocks q_;  // [blocks, heads * Dh, 16]
  std::span<const BlockKeys> keys_;
  size_t units_;
  SoftmaxLanes* stats_ = nullptr;  // [units]
  float* rescale_ = nullptr;       // [units, 16]
  float* sums_ = nullptr;          // [units, Dh, 16]
  float* scores_ = nullptr;        // [units, kKeyTile, 16]; for runs in bf16 then probabilities in pairs
  float* q_pairs_ = nullptr;       // [units, Dh / 2, 16], for runs in bf16, which are multiplied in pairs
  uint32_t* values_ = nullptr;     // [kKeyTile / 2, Dh], the same
};

bool same_runs(const BlockKeys& a, const BlockKeys& b) {
  return std::ranges::equal(a, b, [](const KeyRun& x, const KeyRun& y) { return x.keys == y.keys; });
}

/// The query heads of one kv head, for blocks that see the same runs. q, out [B, heads * Dh, 16].
void attend(Exec& exec, int worker, size_t heads, size_t kv_offset, ConstBlocks q, std::span<const BlockKeys> keys,
            Blocks out) {
  AttentionTask task(exec, worker, heads, kv_offset, q, keys);
  for (size_t run = 0; run < keys.front().size(); ++run) task.add_run(run);
  task.finish(out);
}

/// The same, for blocks of which some may see other runs than others.
void attend_blocks(Exec& exec, int worker, size_t heads, size_t kv_offset, ConstBlocks q,
                   std::span<const BlockKeys> keys, Blocks out) {
  for (size_t block = 0; block < q.blocks;) {
    size_t next = block + 1;
    while (next < q.blocks && same_runs(keys[block], keys[next])) ++next;
    attend(exec, worker, heads, kv_offset, q.block_range(block, next - block), keys.subspan(block, next - block),
           out.block_range(block, next - block));
    block = next;
  }
}

}  // namespace

AttentionScratch attention_scratch(const AttentionShape& shape, size_t blocks) {
  const size_t group = shape.heads / shape.kv_heads, head_dim = shape.head_dim;
  const size_t units = std::min(blocks, most_blocks(group, head_dim)) * group;
  return {std::max(units * unit_floats(head_dim), few_rows_floats(head_dim)),
          units * unit_weight_floats(head_dim) + value_floats(head_dim)};
}

void attention(Exec& exec, const AttentionShape& shape, ConstBlocks q, std::span<const BlockKeys> keys, Blocks out,
               size_t rows) {
  const size_t kv_heads = shape.kv_heads, head_dim = shape.head_dim;
  DG_CHECK(shape.heads % kv_heads == 0 && q.features == shape.heads * head_dim && out.features == q.features,
           shape.heads, "/", kv_heads, " heads of ", head_dim, " for ", q.features, " features");
  DG_CHECK(q.blocks == keys.size() && q.blocks == out.blocks, q.blocks, " blocks, ", keys.size(), " key lists");
  DG_CHECK(q.blocks == 0 || tensor::rows_in(rows, q.blocks - 1, 1) > 0, rows, " rows of ", q.blocks, " blocks");
  const size_t group = shape.heads / kv_heads, features = group * head_dim;
  const size_t last_rows = q.blocks == 0 ? 0 : tensor::rows_in(rows, q.blocks - 1, 1);
  const bool few = last_rows > 0 && last_rows <= kLanes / 2 && last_rows * group <= kLanes &&  // in the last block
                   keys.back()[0].dtype == DType::kBF16;
  const size_t blocks = q.blocks - (few ? 1 : 0);
  const size_t share = exec.rows_per_task(blocks * kv_heads, 1, most_blocks(group, head_dim)),
               shares = (blocks + share - 1) / share;
  const size_t few_heads =
      few ? std::clamp(kv_heads / static_cast<size_t>(exec.threads()), size_t{1}, kLanes / (last_rows * group)) : 1;
  const auto few_task = [&](size_t task, int worker) {
    const size_t first = task * few_heads, count = std::min(few_heads, kv_heads - first);
    attend_few_rows(exec, worker, {last_rows, count * group, count, head_dim, first * head_dim},
                    q.block(blocks) + first * features * kLanes, keys[blocks],
                    out.block(blocks) + first * features * kLanes);
  };
  const size_t few_tasks = few ? (kv_heads + few_heads - 1) / few_heads : 0;
  exec.run(few_tasks + shares * kv_heads, [&](size_t task, int worker) {
    if (task < few_tasks) return few_task(task, worker);
    const size_t kv_head = (task - few_tasks) / shares;  // one head's tasks after another: its keys stay near
    const size_t first = (task - few_tasks) % shares * share, count = std::min(share, blocks - first);
    attend_blocks(exec, worker, group, kv_head * head_dim,
                  q.feature_range(kv_head * features, features).block_range(first, count), keys.subspan(first, count),
                  out.feature_range(kv_head * features, features).block_range(first, count));
  });
}

}  // namespace dgemma::ops
