// KvCache: keys and values of the tokens that a session has encoded, one run of rows per layer.
//
//     keys of layer n:  [capacity, K * Dh] f32, row i = position first + i
//
// Full layers keep every position. Sliding layers need the last W - 1 only, plus a margin behind them so that a
// conversation can go back a little (the answer that is rendered anew, a retry) without encoding its prompt again;
// older rows are dropped by moving the rest to the front now and then, so rows stay consecutive for the kernels. Tests:
// tests/model/kv_cache_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/config.h"
#include "ops/attention.h"
#include "tensor/blocks.h"

namespace dgemma::model {

class KvCache {
 public:
  /// An empty cache; memory is taken as it grows.
  explicit KvCache(const Config& config);

  int64_t length() const { return length_; }

  /// Makes room for `count` more positions in every layer. Called before a pass appends; may move rows.
  void reserve(int64_t count);
  /// Where layer n's row for `position` is, K * Dh floats each. Valid until the next reserve or truncate.
  float* key_row(size_t layer, int64_t position);
  float* value_row(size_t layer, int64_t position);
  /// Declares `count` positions, written in every layer, as part of the cache.
  void advance(int64_t count) { length_ += count; }

  /// The rows of a layer that hold positions first_kept(layer) .. length() - 1 (and those reserved behind them).
  ops::KeyRun run(size_t layer) const;
  int64_t first_kept(size_t layer) const { return layers_[layer].first; }

  /// Forgets everything from `length` on. Returns the length that is left: `length`, or 0 where a sliding layer has
  /// dropped rows that the tokens before `length` would need.
  int64_t truncate(int64_t length);

  /// Bytes in use for `positions` positions at most, for planning.
  static uint64_t planned_bytes(const Config& config, int64_t positions);
  uint64_t bytes() const;

 private:
  struct Layer {
    size_t row = 0;        // K * Dh
    int64_t keep = 0;      // rows to keep at least; 0: all
    int64_t first = 0;     // position of row 0
    int64_t capacity = 0;  // rows
    tensor::AlignedBuffer<float> keys, values;
  };
  void make_room(Layer& layer, int64_t count);

  std::vector<Layer> layers_;
  int64_t length_ = 0;
  int64_t window_ = 0;
};

}  // namespace dgemma::model
