// SeenKeys: which keys of a run the 16 rows of a lane block see, tile by tile. Internal to ops. Tests:
// tests/ops/attention_test.cc.
#pragma once

#include <algorithm>
#include <limits>

#include "ops/attention.h"

namespace dgemma::ops {

/// Keys begin <= i < end of a run.
struct KeyRange {
  int32_t begin = 0, end = 0;

  bool empty() const { return begin >= end; }
  size_t count() const { return static_cast<size_t>(end - begin); }
  bool operator==(const KeyRange&) const = default;
};

class SeenKeys {
 public:
  SeenKeys() = default;
  explicit SeenKeys(const KeyRun& run) : run_(&run) {
    const auto [low_min, low_max] = std::ranges::minmax(run.low);
    const auto [high_min, high_max] = std::ranges::minmax(run.high);
    low_min_ = low_min, low_max_ = low_max, high_min_ = high_min, high_max_ = high_max;
  }

  int32_t first_tile() const { return low_min_ / kKeyTile * kKeyTile; }
  int32_t end() const { return high_max_; }
  /// The keys of the tile from `first` on that any row may see, from the start of a sum's step on (kKeyStep).
  KeyRange in_tile(int32_t first) const {
    const KeyRange seen{std::max(first, low_min_ / kKeyStep * kKeyStep), std::min(first + kKeyTile, high_max_)};
    return seen.empty() ? KeyRange{} : seen;
  }
  /// Makes the scores z [keys.count(), 16] of what a row does not see -inf.
  void mask(KeyRange keys, float* z) const {
    mask_from_to(keys.begin, std::min(low_max_, keys.end), keys.begin, z);
    mask_from_to(std::max({high_min_, low_max_, keys.begin}), keys.end, keys.begin, z);
  }

 private:
  void mask_from_to(int32_t begin, int32_t end, int32_t first, float* z) const {
    for (int32_t key = begin; key < end; ++key) {
      float* scores = z + static_cast<size_t>(key - first) * tensor::kLanes;
      for (size_t lane = 0; lane < tensor::kLanes; ++lane)
        if (key < run_->low[lane] || key >= run_->high[lane]) scores[lane] = -std::numeric_limits<float>::infinity();
    }
  }

  const KeyRun* run_ = nullptr;
  int32_t low_min_ = 0, low_max_ = 0, high_min_ = 0, high_max_ = 0;
};

}  // namespace dgemma::ops
