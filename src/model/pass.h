// Pass: one sweep while it runs, with its workspace. Internal to model.cc, attention_pass.cc and vocabulary_rows.cc.
//
// The matrix of rows has the encode groups first, then the denoise groups, so that what concerns canvases only (self-
// conditioning, vocabulary, and the last layer where encode groups have nothing more to do) is a range of blocks. All
// memory that depends on the number of rows is the workspace's: a sweep like the one before it allocates nothing.
#pragma once

#include <chrono>

#include "model/model.h"
#include "ops/prepared_product.h"

namespace dgemma::model {

/// Cosines and sines of one lane block's positions, for one layer kind: [half, 16] each.
struct RopeTable {
  tensor::AlignedBuffer<float> cos, sin;
};

/// A group's place in the matrix of rows.
struct PlacedGroup {
  const RowGroup* group;
  size_t first_block;
  size_t blocks;
  int64_t position;  // of its first row
};

struct Workspace {
  tensor::BlockMatrix x;         // [B, D] residual stream
  tensor::BlockMatrix normed;    // [B, D]
  tensor::BlockMatrix input;     // [B, D] prepared: what projections, dense MLPs and the self-conditioning multiply
  tensor::BlockMatrix routed;    // [B, D] prepared: what experts multiply
  tensor::BlockMatrix branch;    // [B, D] what a branch adds
  tensor::BlockMatrix experts;   // [B, D]
  tensor::BlockMatrix q;         // [B, H * Dh]
  tensor::BlockMatrix k, v;      // [B, K * Dh]
  tensor::BlockMatrix attended;  // [B, H * Dh]
  tensor::BlockMatrix hidden;    // [B, F] prepared
  tensor::BlockMatrix scores;    // [B, E]
  tensor::BlockMatrix soft;      // [B, D] in: of the step before, out: of this step
  tensor::AlignedBuffer<std::byte> canvas_keys;    // [B * 16, K * Dh] of the cache's type: rows of denoise groups
  tensor::AlignedBuffer<std::byte> canvas_values;  // the same
  ops::Assignment assignment;
  ops::ExpertWorkspace expert_space;
  ops::VocabularyWorkspace vocabulary;
  size_t blocks = 0;

  std::vector<RopeTable> sliding_rope, full_rope;       // by block
  std::vector<std::array<int64_t, 16>> rope_positions;  // what the tables were made for

  std::vector<PlacedGroup> placed;
  std::vector<size_t> group_of_block;
  std::vector<uint32_t> rows;          // every valid row: block * 16 + lane
  std::vector<uint32_t> denoise_rows;  // those of denoise groups, counted from the first denoise block
  std::vector<ops::BlockKeys> keys;    // by block
  std::vector<size_t> conditioned;     // blocks that have a soft embedding to be conditioned on
  std::vector<size_t> condition_of;    // by denoise block: its place among these, or kNone

  // The vocabulary pass's view of its rows, by block or by row.
  std::vector<float> inverse_temperature;
  std::vector<uint8_t> want_soft;
  std::vector<double> uniform;
  std::vector<ops::RowPrediction> predictions;
  std::vector<uint8_t> top;          // by block: most probable tokens wanted of a row
  std::vector<TopToken> top_tokens;  // [B * 16, kMostTopTokens] where some are wanted
};

/// Splits a sweep's time into parts; without a target it does not look at the clock.
class PartClock {
 public:
  explicit PartClock(SweepParts* times) : times_(times) {
    if (times_ != nullptr) last_ = Clock::now();
  }
  /// The time since the last call (or since the start) belongs to `part`.
  void close(double SweepParts::*part) {
    if (times_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    times_->*part += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  SweepParts* times_;
  Clock::time_point last_;
};

struct Model::Pass {
  Pass(const Model& m, ops::Exec& e, Workspace& w, std::span<const RowGroup> groups, SweepParts* times,
       ExpertRouting* routing);

  Result<void> run(const LayerTap& tap);

 private:
  void place(const RowGroup& group);
  bool cancelled() const;
  void embed();
  void settle_deferred();
  void condition();
  void make_rope_tables(size_t block);
  void layer(size_t index);
  void open_layer(size_t index, size_t block, int worker);
  void after_attention(const LayerWeights& w, size_t block, int worker);
  void after_feedforward(size_t index, size_t block, int worker);
  void attention_branch(size_t index);
  void queries(size_t index, size_t block);
  void keys_and_values(size_t index, size_t block);
  void store_rows(size_t index, size_t block);
  void* canvas_kv_rows(tensor::AlignedBuffer<std::byte>& memory, size_t index, size_t block) const;
  ops::BlockKeys visible_keys(size_t index, size_t block) const;
  void draw_scores(size_t index, std::span<const uint32_t> rows, tensor::Blocks scores);
  void feedforward_branches(size_t index);
  bool vocabulary_rows(size_t count);
  Result<void> predict();
  void make_room(const PlacedGroup& placed);
  void hand_out(const PlacedGroup& placed, size_t first_block);

  /// All rows of a workspace matrix, or its first `features` features as a matrix of its own.
  tensor::Blocks view(const tensor::BlockMatrix& m) const { return m.view(blocks_); }
  tensor::Blocks view(const tensor::BlockMatrix& m, size_t features) const {
    return {m.view().data, blocks_, features, features * tensor::kLanes};
  }
  /// `count` blocks of a matrix that holds activations of `features` features prepared for `arithmetic`.
  static tensor::Blocks prepared(const tensor::BlockMatrix& m, size_t count, tensor::Arithmetic arithmetic,
                                 size_t features) {
    const size_t rows = ops::prepared_features(arithmetic, features);
    return {m.view().data, count, rows, rows * tensor::kLanes};
  }
  /// The same from first_active_ on: the rows that this layer still works on once its keys and values are stored.
  tensor::Blocks active(const tensor::BlockMatrix& m) const { return active(view(m)); }
  tensor::Blocks active(const tensor::BlockMatrix& m, size_t features) const { return active(view(m, features)); }
  tensor::Blocks active(tensor::Blocks all) const { return all.block_range(first_active_, blocks_ - first_active_); }
  size_t active_blocks() const { return blocks_ - first_active_; }
  /// Rows up to the last one that is not padding, of all and of the active blocks.
  size_t rows() const { return size_t{space_.rows.back()} + 1; }
  size_t active_rows() const { return rows() - first_active_ * tensor::kLanes; }

  const PlacedGroup& group_of(size_t block) const { return space_.placed[space_.group_of_block[block]]; }
  /// Position of a lane; padding lanes repeat the group's last row.
  int64_t position(size_t block, size_t lane) const;

  const Model& model_;
  const Config& config_;
  const Weights& weights_;
  ops::Exec& exec_;
  Workspace& space_;
  ExpertRouting* const routing_;  // or null
  PartClock clock_;
  size_t blocks_ = 0;
  size_t first_denoise_ = 0;  // block
  size_t first_active_ = 0;   // block; 0 but in the last layer
  bool only_caches_ = true;   // nothing but the cache is wanted of any encode group
};

}  // namespace dgemma::model
