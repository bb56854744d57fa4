// See attention.h.
#include "ops/attention.h"

#include <algorithm>
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

/// One task: the query heads of one kv head in one lane block.
struct HeadGroup {
  const kernels::KernelTable& table;
  size_t heads;         // query heads in this group
  size_t head_dim;      // Dh
  const float* q;       // [heads, Dh, 16]
  float* out;           // [heads, Dh, 16]
  float* scores;        // [heads, kKeyTile, 16]
  float* rescale;       // [heads, 16]
  SoftmaxLanes* stats;  // [heads]
  // For runs in bf16, which are multiplied in pairs.
  float* q_pairs = nullptr;    // [heads, Dh / 2, 16]
  float* p_pairs = nullptr;    // [heads, kKeyTile / 2, 16]
  uint32_t* values = nullptr;  // [kKeyTile / 2, Dh]

  size_t head_floats() const { return head_dim * kLanes; }

  void start() {
    std::fill_n(out, heads * head_floats(), 0.0f);
    for (size_t h = 0; h < heads; ++h) {
      stats[h] = {};
      std::fill_n(stats[h].max, kLanes, -kInfinity);
    }
  }

  /// Takes memory for products in pairs and rounds the queries.
  void round_queries(Exec& exec, int worker) {
    DG_CHECK(head_dim % 2 == 0, "bf16 heads of ", head_dim);
    const size_t q_floats = heads * head_floats() / 2, p_floats = heads * kKeyTile / 2 * kLanes;
    q_pairs = exec.panel(worker, q_floats + p_floats + kKeyTile / 2 * head_dim);
    p_pairs = q_pairs + q_floats;
    values = reinterpret_cast<uint32_t*>(p_pairs + p_floats);
    table.round_pairs(q, heads * head_dim, q_pairs);
  }

  void finish() {
    for (size_t h = 0; h < heads; ++h)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const double sum = stats[h].sum[lane];
        const float inverse = sum > 0 ? static_cast<float>(1.0 / sum) : 0.0f;
        for (size_t d = 0; d < head_dim; ++d) out[h * head_floats() + d * kLanes + lane] *= inverse;
      }
  }

  /// Adds the keys first .. first + count - 1 of a run.
  void add_tile(const KeyRun& run, size_t kv_offset, size_t first, size_t count, bool masked) {
    const size_t at = first * run.row_stride + kv_offset, stride = count * kLanes;
    const bool pairs = run.dtype == DType::kBF16;
    if (pairs)
      table.product_pairs(static_cast<const uint16_t*>(run.keys) + at, run.row_stride, q_pairs, head_floats() / 2,
                          scores, stride, heads, count, head_dim);
    else
      table.product_f32(static_cast<const float*>(run.keys) + at, run.row_stride, q, head_floats(), scores, stride,
                        heads, count, head_dim);
    for (size_t h = 0; h < heads; ++h) {
      if (masked) mask(run, scores + h * stride, first, count);
      table.softmax_tile(scores + h * stride, count, 0, &stats[h], rescale + h * kLanes, nullptr);
    }
    if (pairs)
      add_pairs(static_cast<const uint16_t*>(run.values) + at, run.row_stride, count);
    else
      table.weighted_sum_f32(static_cast<const float*>(run.values) + at, run.row_stride, scores, stride, out,
                             head_floats(), rescale, heads, head_dim, count);
  }

  /// out = out * rescale + scores^T v, both rounded to bf16.
  void add_pairs(const uint16_t* v, size_t row_stride, size_t count) {
    const size_t pairs = tensor::paired_features(count);
    for (size_t h = 0; h < heads; ++h)
      table.round_pairs(scores + h * count * kLanes, count, p_pairs + h * pairs * kLanes);
    table.interleave_rows(v, row_stride, count, head_dim, values);
    table.weighted_sum_pairs(values, head_dim, p_pairs, pairs * kLanes, out, head_floats(), rescale, heads, head_dim,
                             2 * pairs);
  }

  static void mask(const KeyRun& run, float* z, size_t first, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const auto key = static_cast<int32_t>(first + i);
      for (size_t lane = 0; lane < kLanes; ++lane)
        if (key < run.low[lane] || key >= run.high[lane]) z[i * kLanes + lane] = -kInfinity;
    }
  }

  void add_run(const KeyRun& run, size_t kv_offset) {
    const auto [low_min, low_max] = std::minmax_element(run.low.begin(), run.low.end());
    const auto [high_min, high_max] = std::minmax_element(run.high.begin(), run.high.end());
    for (int32_t first = *low_min / kKeyTile * kKeyTile; first < *high_max; first += kKeyTile) {
      const int32_t count = std::min(kKeyTile, *high_max - first);
      const bool masked = first < *low_max || first + count > *high_min;
      add_tile(run, kv_offset, static_cast<size_t>(first), static_cast<size_t>(count), masked);
    }
  }
};

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

}  // namespace

void attention(Exec& exec, const AttentionShape& shape, ConstBlocks q, std::span<const BlockKeys> keys, Blocks out,
               size_t rows) {
  const size_t kv_heads = shape.kv_heads, head_dim = shape.head_dim;
  DG_CHECK(shape.heads % kv_heads == 0 && q.features == shape.heads * head_dim && out.features == q.features,
           shape.heads, "/", kv_heads, " heads of ", head_dim, " for ", q.features, " features");
  DG_CHECK(q.blocks == keys.size() && q.blocks == out.blocks, q.blocks, " blocks, ", keys.size(), " key lists");
  const size_t group = shape.heads / kv_heads;
  exec.run(q.blocks * kv_heads, [&](size_t task, int worker) {
    const size_t block = task % q.blocks, kv_head = task / q.blocks;
    const size_t first_value = kv_head * group * head_dim * kLanes, stats_floats = sizeof(SoftmaxLanes) / sizeof(float);
    const float* from = q.block(block) + first_value;
    float* to = out.block(block) + first_value;
    const SharedLanes lanes{tensor::rows_in(rows, block, 1), group};
    const bool shared = group > 1 && lanes.rows * group <= kLanes;
    const size_t count = shared ? 1 : group, shared_floats = shared ? head_dim * kLanes : 0;
    float* memory = exec.scratch(worker, count * (stats_floats + kLanes * (kKeyTile + 1)) + 2 * shared_floats);
    float* rescale = memory + count * stats_floats;
    float* scores = rescale + count * kLanes;
    float* shared_q = scores + count * kLanes * kKeyTile;
    float* shared_out = shared_q + shared_floats;
    if (shared) lanes.gather(exec.kernels(), from, head_dim, shared_q);
    HeadGroup heads{exec.kernels(),           count,  head_dim, shared ? shared_q : from,
                    shared ? shared_out : to, scores, rescale,  reinterpret_cast<SoftmaxLanes*>(memory)};
    const BlockKeys& seen = shared ? lanes.keys(keys[block]) : keys[block];
    if (std::ranges::any_of(seen, [](const KeyRun& run) { return run.dtype == DType::kBF16; }))
      heads.round_queries(exec, worker);
    heads.start();
    for (const KeyRun& run : seen)
      if (run.keys != nullptr) heads.add_run(run, kv_head * head_dim);
    heads.finish();
    if (shared) lanes.scatter(exec.kernels(), shared_out, head_dim, to);
  });
}

}  // namespace dgemma::ops
