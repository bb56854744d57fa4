// See attention.h.
#include "ops/attention.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"

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
    const auto [low_min, low_max] = std::minmax_element(run.low.begin(), run.low.end());
    const auto [high_min, high_max] = std::minmax_element(run.high.begin(), run.high.end());
    if (first + kKeyTile <= *low_min || first >= *high_max) return;
    const auto count = static_cast<size_t>(std::min(kKeyTile, *high_max - first));
    const size_t at = static_cast<size_t>(first) * run.row_stride + kv_offset, stride = count * kLanes;
    const bool pairs = run.dtype == DType::kBF16;
    if (pairs)
      table->product_pairs(static_cast<const uint16_t*>(run.keys) + at, run.row_stride, q_pairs, head_floats() / 2,
                           tile.scores, stride, heads, count, head_dim);
    else
      table->product_f32(static_cast<const float*>(run.keys) + at, run.row_stride, q, head_floats(), tile.scores,
                         stride, heads, count, head_dim);
    const bool masked = first < *low_max || first + static_cast<int32_t>(count) > *high_min;
    for (size_t h = 0; h < heads; ++h) {
      if (masked) mask(run, tile.scores + h * stride, static_cast<size_t>(first), count);
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

  static void mask(const KeyRun& run, float* z, size_t first, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const auto key = static_cast<int32_t>(first + i);
      for (size_t lane = 0; lane < kLanes; ++lane)
        if (key < run.low[lane] || key >= run.high[lane]) z[i * kLanes + lane] = -kInfinity;
    }
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

/// Where a block has few rows all heads of a task share one lane block: lane h * rows + r is row r of head h, lanes
/// past the last one repeat others. The same sums in the same order, so nothing shows in a result.
struct SharedLanes {
  size_t rows, heads;

  size_t row(size_t lane) const { return lane % rows; }
  size_t head(size_t lane) const { return std::min(lane / rows, heads - 1); }

  BlockKeys keys(const BlockKeys& by_row) const {
    BlockKeys by_lane = by_row;
    for (size_t run = 0; run < by_row.size(); ++run)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        by_lane[run].low[lane] = by_row[run].low[row(lane)];
        by_lane[run].high[lane] = by_row[run].high[row(lane)];
      }
    return by_lane;
  }
  /// q [heads, Dh, 16] to out [Dh, 16].
  void gather(const kernels::KernelTable& table, const float* q, size_t head_dim, float* out) const {
    int32_t offset[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane)
      offset[lane] = static_cast<int32_t>(head(lane) * head_dim * kLanes + row(lane));
    table.gather_rows(q, offset, out, head_dim);
  }
  /// And back, the last row repeated.
  void scatter(const kernels::KernelTable& table, const float* shared, size_t head_dim, float* out) const {
    for (size_t h = 0; h < heads; ++h) {
      int32_t offset[kLanes];
      for (size_t lane = 0; lane < kLanes; ++lane)
        offset[lane] = static_cast<int32_t>(h * rows + std::min(lane, rows - 1));
      table.gather_rows(shared, offset, out + h * head_dim * kLanes, head_dim);
    }
  }
};

bool same_runs(const BlockKeys& a, const BlockKeys& b) {
  return std::ranges::equal(a, b, [](const KeyRun& x, const KeyRun& y) { return x.keys == y.keys; });
}

size_t attend_floats(size_t blocks, size_t heads) {
  return (blocks * sizeof(SoftmaxLanes) / sizeof(float) + kLanes * (kKeyTile + 1)) * heads;
}

/// The query heads of one kv head, for blocks that see the same runs. q, out [B, heads * Dh, 16]; memory: scratch of
/// attend_floats().
void attend(Exec& exec, int worker, size_t heads, size_t kv_offset, ConstBlocks q, std::span<const BlockKeys> keys,
            Blocks out, float* memory) {
  const size_t head_dim = q.features / heads, q_floats = q.features * kLanes / 2;
  auto* stats = reinterpret_cast<SoftmaxLanes*>(memory);
  float* rescale = reinterpret_cast<float*>(stats + q.blocks * heads);
  TileMemory tile{rescale + heads * kLanes, rescale, nullptr, nullptr};
  const bool pairs = std::ranges::any_of(keys.front(), [](const KeyRun& run) { return run.dtype == DType::kBF16; });
  float* q_pairs = nullptr;
  if (pairs) {
    DG_CHECK(head_dim % 2 == 0, "bf16 heads of ", head_dim);
    const size_t p_floats = heads * kKeyTile / 2 * kLanes;
    q_pairs = exec.panel(worker, q.blocks * q_floats + p_floats + kKeyTile / 2 * head_dim);
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

/// The same for one block of so few rows that the heads share its lanes. q, out [heads * Dh, 16].
void attend_few(Exec& exec, int worker, const SharedLanes& lanes, size_t head_dim, size_t kv_offset, const float* q,
                const BlockKeys& keys, float* out) {
  const size_t floats = head_dim * kLanes;
  float* memory = exec.scratch(worker, 2 * floats + attend_floats(1, 1));
  const Blocks shared_q{memory, 1, head_dim, floats}, shared_out{memory + floats, 1, head_dim, floats};
  lanes.gather(exec.kernels(), q, head_dim, shared_q.data);
  const BlockKeys by_lane = lanes.keys(keys);
  attend(exec, worker, 1, kv_offset, shared_q, {&by_lane, 1}, shared_out, memory + 2 * floats);
  lanes.scatter(exec.kernels(), shared_out.data, head_dim, out);
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
  const auto few = [&](size_t block) { return group > 1 && tensor::rows_in(rows, block, 1) * group <= kLanes; };
  const size_t block_bytes = features * kLanes * (sizeof(float) + sizeof(uint16_t));
  const size_t most = std::clamp(kCacheBytes / block_bytes, size_t{1}, kMostBlocks);
  const size_t share = exec.rows_per_task(q.blocks * kv_heads, 1, most), shares = (q.blocks + share - 1) / share;
  exec.run(shares * kv_heads, [&](size_t task, int worker) {  // one head's tasks after another: its keys stay near
    const size_t kv_head = task / shares, first = task % shares * share, end = std::min(q.blocks, first + share);
    const ConstBlocks from = q.feature_range(kv_head * features, features);
    const Blocks to = out.feature_range(kv_head * features, features);
    for (size_t block = first; block < end;) {
      if (few(block)) {
        const SharedLanes lanes{tensor::rows_in(rows, block, 1), group};
        attend_few(exec, worker, lanes, head_dim, kv_head * head_dim, from.block(block), keys[block], to.block(block));
        ++block;
        continue;
      }
      size_t next = block + 1;
      while (next < end && same_runs(keys[block], keys[next]) && !few(next)) ++next;
      attend(exec, worker, group, kv_head * head_dim, from.block_range(block, next - block),
             keys.subspan(block, next - block), to.block_range(block, next - block),
             exec.scratch(worker, attend_floats(next - block, group)));
      block = next;
    }
  });
}

}  // namespace dgemma::ops
