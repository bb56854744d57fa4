// SeenKeys: which keys of a run the 16 rows of a lane block see, tile by tile. Internal to ops. Tests:
// tests/ops/attention_test.cc.
#pragma once

#include <algorithm>
#include <limits>

#include "ops/attention.h"

namespace dgemma::ops {

class SeenKeys {
 public:
  explicit SeenKeys(const KeyRun& run) : run_(run) {
    const auto [low_min, low_max] = std::ranges::minmax(run.low);
    const auto [high_min, high_max] = std::ranges::minmax(run.high);
    low_min_ = low_min, low_max_ = low_max, high_min_ = high_min, high_max_ = high_max;
  }

  int32_t first_tile() const { return low_min_ / kKeyTile * kKeyTile; }
  int32_t end() const { return high_max_; }
  /// Keys from `first` on that lie in its tile and may be seen: none where no row sees any.
  size_t count(int32_t first) const {
    if (first + kKeyTile <= low_min_ || first >= high_max_) return 0;
    return static_cast<size_t>(std::min(kKeyTile, high_max_ - first));
  }
  /// Makes the scores z [count, 16] of what a row does not see -inf.
  void mask(int32_t first, size_t count, float* z) const {
    if (first >= low_max_ && first + static_cast<int32_t>(count) <= high_min_) return;
    for (size_t i = 0; i < count; ++i)
      for (size_t lane = 0; lane < tensor::kLanes; ++lane) {
        const auto key = first + static_cast<int32_t>(i);
        if (key < run_.low[lane] || key >= run_.high[lane])
          z[i * tensor::kLanes + lane] = -std::numeric_limits<float>::infinity();
      }
  }

 private:
  const KeyRun& run_;
  int32_t low_min_ = 0, low_max_ = 0, high_min_ = 0, high_max_ = 0;
};

}  // namespace dgemma::ops
