// See few_rows.h.
#include "ops/few_rows.h"

#include <limits>

#include "base/check.h"
#include "ops/seen_keys.h"

namespace dgemma::ops {
namespace {

using kernels::SoftmaxLanes;
using tensor::kLanes;

/// The steps of one task. Token h * rows + r, and lane of the same number, is row r of query head h.
class FewRowsTask {
 public:
  FewRowsTask(Exec& exec, int worker, const FewRows& shape)
      : kernels_(exec.kernels()),
        shape_(shape),
        tokens_(shape.rows * shape.heads),
        head_tokens_(tokens_ / shape.kv_heads) {
    const size_t dim = shape.head_dim;
    DG_CHECK(tokens_ <= kLanes && tokens_ % shape.kv_heads == 0, tokens_, " tokens of ", shape.kv_heads, " kv heads");
    float* memory = exec.scratch(worker, few_rows_floats(dim));
    q_ = reinterpret_cast<uint16_t*>(memory);
    sums_ = memory + kLanes * dim / 2;
    scores_ = sums_ + kLanes * dim;
    lanes_ = scores_ + kLanes * kKeyTile;
    std::fill_n(sums_, tokens_ * dim, 0.0f);
    std::fill_n(stats_.max, kLanes, -std::numeric_limits<float>::infinity());
  }

  /// The queries [heads * Dh, 16] as rows.
  void set_queries(const float* q) {
    const size_t dim = shape_.head_dim;
    for (size_t h = 0; h < shape_.heads; ++h)
      kernels_.lanes_to_rows_bf16(q + h * dim * kLanes, dim, q_ + h * shape_.rows * dim, dim, shape_.rows);
  }

  void add_run(const KeyRun& by_row) {
    if (by_row.keys == nullptr) return;
    KeyRun run = by_row;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      run.low[lane] = by_row.low[lane % shape_.rows];
      run.high[lane] = by_row.high[lane % shape_.rows];
    }
    const SeenKeys seen(run);
    for (int32_t first = seen.first_tile(); first < seen.end(); first += kKeyTile) add_tile(run, seen, first);
  }

  void finish(float* out) {
    const size_t dim = shape_.head_dim, rows = shape_.rows;
    for (size_t h = 0; h < shape_.heads; ++h) {
      const float* from[kLanes] = {};
      float inverse[kLanes] = {};
      for (size_t r = 0; r < rows; ++r) {
        const size_t token = h * rows + r;
        from[r] = sums_ + token * dim;
        inverse[r] = stats_.sum[token] > 0 ? static_cast<float>(1.0 / stats_.sum[token]) : 0.0f;
      }
      kernels_.rows_to_lanes_f32(from, 1.0f, out + h * dim * kLanes, dim);
      kernels_.scale_lanes(out + h * dim * kLanes, inverse, dim);
    }
  }

 private:
  void add_tile(const KeyRun& run, const SeenKeys& seen, int32_t first) {
    const KeyRange keys = seen.in_tile(first);
    if (keys.empty()) return;
    for_each_part(keys, [&](size_t done, size_t count) { score(run, keys, done, count); });
    const float* rows[kLanes] = {};
    for (size_t token = 0; token < tokens_; ++token) rows[token] = scores_ + token * kKeyTile;
    kernels_.rows_to_lanes_f32(rows, 1.0f, lanes_, keys.count());
    seen.mask(keys, lanes_);
    float rescale[kLanes];
    kernels_.softmax_pairs(lanes_, keys.count(), &stats_, rescale, lanes_);
    for_each_part(keys, [&](size_t done, size_t count) {
      add_values(run, keys, done, count, rescale);
      std::fill_n(rescale, kLanes, 1.0f);
    });
  }

  /// The rows of all kv heads lie side by side: all heads of so many keys are read before the next ones, whose pages
  /// are others.
  template <class Part>
  static void for_each_part(KeyRange keys, Part part) {
    constexpr size_t kPart = kKeyStep;
    for (size_t done = 0; done < keys.count(); done += kPart) part(done, std::min(kPart, keys.count() - done));
  }

  /// The first kv head's value in the key `done` after the first one.
  size_t at(const KeyRun& run, KeyRange keys, size_t done) const {
    return (static_cast<size_t>(keys.begin) + done) * run.row_stride + shape_.kv_offset;
  }

  void score(const KeyRun& run, KeyRange keys, size_t done, size_t count) {
    const size_t dim = shape_.head_dim;
    for (size_t kv = 0; kv < shape_.kv_heads; ++kv) {
      const size_t token = kv * head_tokens_;
      kernels_.product_rows_pairs(static_cast<const uint16_t*>(run.keys) + at(run, keys, done) + kv * dim,
                                  run.row_stride, reinterpret_cast<const float*>(q_ + token * dim), dim / 2,
                                  scores_ + token * kKeyTile + done, kKeyTile, head_tokens_, count, dim);
    }
  }

  void add_values(const KeyRun& run, KeyRange keys, size_t done, size_t count, const float* rescale) {
    const size_t dim = shape_.head_dim;
    for (size_t kv = 0; kv < shape_.kv_heads; ++kv) {
      const size_t token = kv * head_tokens_;
      kernels_.weighted_sum_rows_pairs(static_cast<const uint16_t*>(run.values) + at(run, keys, done) + kv * dim,
                                       run.row_stride, lanes_ + done / 2 * kLanes + token, sums_ + token * dim, dim,
                                       rescale + token, head_tokens_, dim, count);
    }
  }

  const kernels::KernelTable& kernels_;
  FewRows shape_;
  size_t tokens_, head_tokens_;  // of all heads, of one kv head's
  uint16_t* q_ = nullptr;        // [tokens, Dh]
  float* sums_ = nullptr;        // [tokens, Dh]
  float* scores_ = nullptr;      // [tokens, kKeyTile]
  float* lanes_ = nullptr;       // [kKeyTile, 16]: scores, then probabilities in pairs, [kKeyTile / 2, 16]
  SoftmaxLanes stats_{};
};

}  // namespace

void attend_few_rows(Exec& exec, int worker, const FewRows& task, const float* q, const BlockKeys& keys, float* out) {
  FewRowsTask few(exec, worker, task);
  few.set_queries(q);
  for (const KeyRun& run : keys) few.add_run(run);
  few.finish(out);
}

}  // namespace dgemma::ops
