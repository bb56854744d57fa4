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

/// Memory for one tile of keys, of all blocks of a task in turn.
struct TileMemory {
  float* scores;     // [heads, kKeyTile, 16]
  float* rescale;    // [heads, 16]
  float* p_pairs;    // [heads, kKeyTile / 2, 16], for runs in bf16
  uint32_t* values;  // [kKeyTile / 2, Dh], the same
};

// Lane blocks that walk over their keys together, so that each tile of values is read and paired once for all of them:
// at most so many, and no more than whose queries and sums stay in a second-level cache.
constexpr size_t kMostBlocks = 4;
constexpr size_t kCacheBytes = size_t{512} << 10;

/// The query heads of one kv head in one lane block.
struct HeadGroup {
  const kernels::KernelTable* table = nullptr;
  const BlockKeys* keys = nullptr;  // what its lanes see
  size_t heads = 0;                 // query heads in this group
  size_t head_dim = 0;              // Dh
  const float* q = nullptr;         // [heads, Dh, 16]
  float* out = nullptr;             // [heads, Dh, 16]
  SoftmaxLanes* stats = nullptr;    // [heads]
  float* q_pairs = nullptr;         // [heads, Dh / 2, 16], for runs in bf16, which are multiplied in pairs

  size_t head_floats() const { return head_dim * kLanes; }

  void start() {
    std::fill_n(out, heads * head_floats(), 0.0f);
    for (size_t h = 0; h < heads; ++h) {
      stats[h] = {};
      std::fill_n(stats[h].max, kLanes, -kInfinity);
    }
  }

  void finish() {
    for (size_t h = 0; h < heads; ++h) {
      float inverse[kLanes];
      for (size_t lane = 0; lane < kLanes; ++lane)
        inverse[lane] = stats[h].sum[lane] > 0 ? static_cast<float>(1.0 / stats[h].sum[lane]) : 0.0f;
      table->scale_lanes(out + h * head_floats(), inverse, head_dim);
    }
  }

  /// Adds the keys of run `r` that lie in the tile from `first` on and that a lane sees.
  void add_tile(size_t r, size_t kv_offset, int32_t first, const TileMemory& tile) {
    const KeyRun& run = (*keys)[r];
    const SeenKeys seen(run);
    const size_t count = seen.count(first);
    if (count == 0) return;
    const size_t at = static_cast<size_t>(first) * run.row_stride + kv_offset, stride = count * kLanes;
    const bool pairs = run.dtype == DType::kBF16;
    if (pairs)
      table->product_pairs(static_cast<const uint16_t*>(run.keys) + at, run.row_stride, q_pairs, head_floats() / 2,
                           tile.scores, stride, heads, count, head_dim);
    else
      table->product_f32(static_cast<const float*>(run.keys) + at, run.row_stride, q, head_floats(), tile.scores,
                         stride, heads, count, head_dim);
    for (size_t h = 0; h < heads; ++h) {
      seen.mask(first, count, tile.scores + h * stride);
      table->softmax_tile(tile.scores + h * stride, count, 0, &stats[h], tile.rescale + h * kLanes, nullptr);
    }
    if (pairs)
      add_pairs(count, tile);
    else
      table->weighted_sum_f32(static_cast<const float*>(run.values) + at, run.row_stride, tile.scores, stride, out,
                              head_floats(), tile.rescale, heads, head_dim, count);
  }

  /// out = out * rescale + scores^T v, both rounded to bf16.
  void add_pairs(size_t count, const TileMemory& tile) {
    const size_t pairs = tensor::paired_features(count);
    for (size_t h = 0; h < heads; ++h)
      table->round_pairs(tile.scores + h * count * kLanes, count, tile.p_pairs + h * pairs * kLanes);
    table->weighted_sum_pairs(tile.values, head_dim, tile.p_pairs, pairs * kLanes, out, head_floats(), tile.rescale,
                              heads, head_dim, 2 * pairs);
  }
};

/// Adds run `r` of all blocks, which is the same memory for each.
void add_run(std::span<HeadGroup> blocks, size_t r, size_t kv_offset, const TileMemory& tile) {
  const KeyRun& run = (*blocks.front().keys)[r];
  if (run.keys == nullptr) return;
  int32_t low = std::numeric_limits<int32_t>::max(), high = 0;
  for (const HeadGroup& block : blocks) {
    low = std::min(low, std::ranges::min((*block.keys)[r].low));
    high = std::max(high, std::ranges::max((*block.keys)[r].high));
  }
  for (int32_t first = low / kKeyTile * kKeyTile; first < high; first += kKeyTile) {
    if (run.dtype == DType::kBF16)
      blocks.front().table->interleave_rows(
          static_cast<const uint16_t*>(run.values) + static_cast<size_t>(first) * run.row_stride + kv_offset,
          run.row_stride, static_cast<size_t>(std::min(kKeyTile, high - first)), blocks.front().head_dim, tile.values);
    for (HeadGroup& block : blocks) block.add_tile(r, kv_offset, first, tile);
  }
}

bool same_runs(const BlockKeys& a, const BlockKeys& b) {
  return std::ranges::equal(a, b, [](const KeyRun& x, const KeyRun& y) { return x.keys == y.keys; });
}

/// The query heads of one kv head, for blocks that see the same runs. q, out [B, heads * Dh, 16].
void attend(Exec& exec, int worker, size_t heads, size_t kv_offset, ConstBlocks q, std::span<const BlockKeys> keys,
            Blocks out) {
  const size_t head_dim = q.features / heads, q_floats = q.features * kLanes / 2;
  const size_t stats_floats = q.blocks * heads * sizeof(SoftmaxLanes) / sizeof(float);
  auto* stats = reinterpret_cast<SoftmaxLanes*>(exec.scratch(worker, stats_floats + heads * kLanes * (kKeyTile + 1)));
  float* rescale = reinterpret_cast<float*>(stats + q.blocks * heads);
  TileMemory tile{rescale + heads * kLanes, rescale, nullptr, nullptr};
  const bool pairs = std::ranges::any_of(keys.front(), [](const KeyRun& run) { return run.dtype == DType::kBF16; });
  float* q_pairs = nullptr;
  if (pairs) {
    DG_CHECK(head_dim % 2 == 0, "bf16 heads of ", head_dim);
    const size_t p_floats = heads * kKeyTile / 2 * kLanes;
    q_pairs = exec.weight_scratch(worker, q.blocks * q_floats + p_floats + kKeyTile / 2 * head_dim);
    tile.p_pairs = q_pairs + q.blocks * q_floats;
    tile.values = reinterpret_cast<uint32_t*>(tile.p_pairs + p_floats);
  }
  std::array<HeadGroup, kMostBlocks> groups;
  const std::span<HeadGroup> blocks(groups.data(), q.blocks);
  for (size_t b = 0; b < q.blocks; ++b) {
    blocks[b] = {&exec.kernels(),
                 &keys[b],
                 heads,
                 head_dim,
                 q.block(b),
                 out.block(b),
                 stats + b * heads,
                 pairs ? q_pairs + b * q_floats : nullptr};
    if (pairs) exec.kernels().round_pairs(q.block(b), q.features, blocks[b].q_pairs);
    blocks[b].start();
  }
  for (size_t run = 0; run < keys.front().size(); ++run) add_run(blocks, run, kv_offset, tile);
  for (HeadGroup& block : blocks) block.finish();
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
  const size_t block_bytes = features * kLanes * (sizeof(float) + sizeof(uint16_t));
  const size_t most = std::clamp(kCacheBytes / block_bytes, size_t{1}, kMostBlocks);
  const size_t share = exec.rows_per_task(blocks * kv_heads, 1, most), shares = (blocks + share - 1) / share;
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
