// KvCache: keys and values of the tokens that a session has encoded, one run of rows per layer.
//
//     keys of layer n:  [capacity, K * Dh] f32 or bf16, row i = position first + i
//
// Every key and value is stored in one type and read from here by every pass, the one that encodes it included, so
// where a prompt is cut into chunks cannot matter in bf16 either.
// Full layers keep every position. Sliding layers need the last W - 1 only, plus a margin behind them so that a
// conversation can go back a little (the answer that is rendered anew, a retry) without encoding its prompt again;
// older rows are dropped by moving the rest to the front where room is wanted, so rows stay consecutive for the
// kernels. Tests: tests/model/kv_cache_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "model/config.h"
#include "ops/attention.h"
#include "tensor/blocks.h"

namespace dgemma::model {

/// Rows of one prompt chunk: wide enough for products to run at full speed, small enough that its activations stay a
/// small part of memory and a cancel waits for one layer of so many rows. A chunk's size changes no result.
inline constexpr int kPromptChunk = 512;

class KvCache {
 public:
  /// An empty cache of f32 or bf16; memory is taken as it grows. Model::new_cache knows which.
  KvCache(const Config& config, tensor::DType type);

  int64_t length() const { return length_; }
  tensor::DType type() const { return type_; }

  /// Says how many positions will be held at most, so that growing takes no more memory than planned_bytes tells. More
  /// positions still fit.
  void plan(int64_t positions) { planned_ = positions; }
  /// Makes room for `count` more positions in every layer. Called before a pass appends; may move rows.
  void reserve(int64_t count);
  /// Where layer n's row for `position` is, K * Dh values of type() each. Valid until the next reserve or truncate.
  void* key_row(size_t layer, int64_t position);
  void* value_row(size_t layer, int64_t position);
  /// Declares `count` positions, written in every layer, as part of the cache.
  void advance(int64_t count) { length_ += count; }

  /// The rows of a layer that hold positions first_kept(layer) .. length() - 1 (and those reserved behind them).
  ops::KeyRun run(size_t layer) const;
  int64_t first_kept(size_t layer) const { return layers_[layer].first; }

  /// Forgets everything from `length` on. Returns the length that is left: `length`, or 0 where a sliding layer has
  /// dropped rows that the tokens before `length` would need.
  int64_t truncate(int64_t length);
  /// Makes an empty cache of the same model a copy of another's first `length` positions. Returns the length that it
  /// has: `length`, or 0 where truncate() of the other would leave nothing.
  int64_t copy_beginning(const KvCache& from, int64_t length);

  /// What bytes() becomes at most with `positions` positions that were planned and appended in chunks of at most
  /// kPromptChunk. While a layer's keys and values grow, the old ones are there too.
  static uint64_t planned_bytes(const Config& config, tensor::DType type, int64_t positions);
  uint64_t bytes() const;

 private:
  static constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

  bool can_go_back_to(int64_t length) const;

  struct Layer {
    size_t row_bytes = 0;  // of K * Dh values
    int64_t most = kAll;   // rows to have at most
    int64_t first = 0;     // position of row 0
    int64_t capacity = 0;  // rows
    tensor::AlignedBuffer<std::byte> keys, values;
  };
  size_t row_offset(size_t layer, int64_t position) const;
  void make_room(Layer& layer, int64_t count);
  int64_t grown(const Layer& layer, int64_t needed) const;

  tensor::DType type_;
  std::vector<Layer> layers_;
  int64_t length_ = 0;
  int64_t planned_ = kAll;
  int64_t needed_before_ = 0;  // rows of sliding layers
};

}  // namespace dgemma::model
