// See row_distance.h.
#include "engine/row_distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "ops/product.h"

namespace dgemma::engine {
namespace {

using tensor::kLanes;

// Tokens of one part of the walk: 4 MiB of logits for a canvas of 256 rows, and enough work for every thread.
constexpr size_t kChunk = 4096;

/// A softmax's sum relative to its largest logit so far.
struct RunningSum {
  double max = -std::numeric_limits<double>::infinity();
  double sum = 0;
  int32_t best = 0;

  /// Takes a new largest logit into account; gives the factor for what was summed before.
  double raise(double logit, int32_t token) {
    if (!(logit > max)) return 1;
    const double factor = std::exp(max - logit);  // 0 at the start
    max = logit, best = token, sum *= factor;
    return factor;
  }
  double log_sum() const { return max + std::log(sum); }
};

struct RowSums {
  RunningSum a, b;
  double difference = 0;  // sum of exp(a - max) * (a - b)

  /// za, zb: `count` logits of tokens first .. first + count - 1, kLanes floats apart.
  void add(const float* za, const float* zb, size_t count, int32_t first) {
    const auto largest = [count](const float* z) {
      size_t at = 0;
      for (size_t i = 1; i < count; ++i)
        if (z[i * kLanes] > z[at * kLanes]) at = i;
      return at;
    };
    const size_t top_a = largest(za), top_b = largest(zb);
    difference *= a.raise(za[top_a * kLanes], first + static_cast<int32_t>(top_a));
    b.raise(zb[top_b * kLanes], first + static_cast<int32_t>(top_b));
    for (size_t i = 0; i < count; ++i) {
      const double la = za[i * kLanes], lb = zb[i * kLanes];
      const double weight = std::exp(la - a.max);
      a.sum += weight;
      b.sum += std::exp(lb - b.max);
      difference += weight * (la - lb);
    }
  }
  RowDistance distance() const {
    // Rounding can leave -1e-17 where both are the same.
    const double kl = std::max(0.0, difference / a.sum - a.log_sum() + b.log_sum());
    return {std::isfinite(a.sum) && std::isfinite(b.sum) ? kl : std::numeric_limits<double>::infinity(), a.best, b.best,
            1 / a.sum, 1 / b.sum};
  }
};

/// Processed logits of tokens first .. first + count - 1: [B, count, 16].
tensor::Blocks logits(const HeadRows& side, size_t first, size_t count, float inverse_temperature,
                      const tensor::BlockMatrix& memory) {
  const size_t blocks = side.hidden.blocks;
  const tensor::Blocks out{memory.view().data, blocks, count, count * kLanes};
  ops::product(side.exec, side.weights.head.row_range(first, count), side.hidden, out);
  side.exec.run(blocks, [&](size_t b, int) {
    side.exec.kernels().softcap(out.block(b), side.weights.softcap, inverse_temperature, count);
  });
  return out;
}

}  // namespace

std::vector<RowDistance> row_distances(const HeadRows& a, const HeadRows& b, double temperature, size_t rows) {
  const size_t vocab = a.weights.head.rows, blocks = a.hidden.blocks;
  DG_CHECK(vocab == b.weights.head.rows && blocks == b.hidden.blocks && rows <= blocks * kLanes, vocab, " ", blocks);
  const auto inverse_temperature = static_cast<float>(1.0 / temperature);
  const tensor::BlockMatrix memory_a(blocks * kLanes, std::min(kChunk, vocab));
  const tensor::BlockMatrix memory_b(blocks * kLanes, std::min(kChunk, vocab));
  std::vector<RowSums> sums(rows);
  for (size_t first = 0; first < vocab; first += kChunk) {
    const size_t count = std::min(kChunk, vocab - first);
    const tensor::Blocks za = logits(a, first, count, inverse_temperature, memory_a);
    const tensor::Blocks zb = logits(b, first, count, inverse_temperature, memory_b);
    a.exec.run(blocks, [&](size_t block, int) {
      for (size_t row = block * kLanes; row < std::min(rows, (block + 1) * kLanes); ++row)
        sums[row].add(&za.at(row, 0), &zb.at(row, 0), count, static_cast<int32_t>(first));
    });
  }
  std::vector<RowDistance> distances(rows);
  for (size_t row = 0; row < rows; ++row) distances[row] = sums[row].distance();
  return distances;
}

DistanceSummary summarise(std::span<const RowDistance> rows) {
  if (rows.empty()) return {};
  DistanceSummary summary;
  std::vector<double> kl;
  size_t same = 0;
  for (const RowDistance& row : rows) {
    kl.push_back(row.kl);
    summary.mean_kl += row.kl / static_cast<double>(rows.size());
    same += row.best_a == row.best_b ? 1 : 0;
  }
  std::sort(kl.begin(), kl.end());
  summary.median_kl = (kl[(kl.size() - 1) / 2] + kl[kl.size() / 2]) / 2;
  summary.p99_kl = kl[(kl.size() - 1) * 99 / 100];
  summary.max_kl = kl.back();
  summary.argmax_agreement = static_cast<double>(same) / static_cast<double>(rows.size());
  return summary;
}

}  // namespace dgemma::engine
