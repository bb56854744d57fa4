// Pass: one sweep while it runs, with its workspace. Internal to model.cc and attention_pass.cc.
#pragma once

#include <chrono>

#include "model/model.h"

namespace dgemma::model {

/// Cosines and sines of one lane block's positions, for one layer kind: [half, 16] each.
struct RopeTable {
  tensor::AlignedBuffer<float> cos, sin;
};

struct Workspace {
  tensor::BlockMatrix x;                                    // [B, D] residual stream
  tensor::BlockMatrix normed;                               // [B, D]
  tensor::BlockMatrix branch;                               // [B, D] what a branch adds
  tensor::BlockMatrix experts;                              // [B, D]
  tensor::BlockMatrix q;                                    // [B, H * Dh]
  tensor::BlockMatrix k, v;                                 // [B, K * Dh]
  tensor::BlockMatrix attended;                             // [B, H * Dh]
  tensor::BlockMatrix hidden;                               // [B, F]
  tensor::BlockMatrix scores;                               // [B, E]
  tensor::BlockMatrix soft;                                 // [B, D] in: of the step before, out: of this step
  tensor::AlignedBuffer<float> canvas_keys, canvas_values;  // [B * 16, K * Dh] rows of the denoise groups
  ops::Assignment assignment;
  ops::ExpertWorkspace expert_space;
  ops::VocabularyWorkspace vocabulary;
  size_t blocks = 0;

  std::vector<RopeTable> sliding_rope, full_rope;       // by block
  std::vector<std::array<int64_t, 16>> rope_positions;  // what the tables were made for
};

/// Splits a sweep's time into parts; without a target it does not look at the clock.
class PartClock {
 public:
  explicit PartClock(SweepTimes* times) : times_(times) {
    if (times_ != nullptr) last_ = Clock::now();
  }
  /// The time since the last call (or since the start) belongs to `part`.
  void close(double SweepTimes::*part) {
    if (times_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    times_->*part += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  SweepTimes* times_;
  Clock::time_point last_;
};

/// A group's place in the matrix of rows.
struct PlacedGroup {
  const RowGroup* group;
  size_t first_block;
  size_t blocks;
  int64_t position;  // of its first row
};

struct Model::Pass {
  Pass(const Model& m, ops::Exec& e, Workspace& w, std::span<const RowGroup> groups, SweepTimes* times);

  Result<void> run(const LayerTap& tap);

 private:
  bool cancelled() const;
  void embed();
  void condition();
  void make_rope_tables();
  void layer(size_t index);
  void attention_branch(size_t index);
  void keys_and_queries(size_t index, size_t block);
  void store_rows(size_t index, size_t block);
  ops::BlockKeys visible_keys(size_t index, size_t block) const;
  void feedforward_branch(const LayerWeights& w);
  Result<void> predict();

  tensor::Blocks view(const tensor::BlockMatrix& m) const { return m.view(blocks_); }
  /// The first `features` features of a workspace matrix that may be wider, as a matrix of its own.
  tensor::Blocks view(const tensor::BlockMatrix& m, size_t features) const {
    return {m.view().data, blocks_, features, features * tensor::kLanes};
  }
  const PlacedGroup& group_of(size_t block) const { return placed_[group_of_block_[block]]; }
  /// Position of a lane; padding lanes repeat the group's last row.
  int64_t position(size_t block, size_t lane) const;

  const Model& model_;
  const Config& config_;
  const Weights& weights_;
  ops::Exec& exec_;
  Workspace& space_;
  PartClock clock_;
  std::vector<PlacedGroup> placed_;
  std::vector<size_t> group_of_block_;
  std::vector<uint32_t> rows_;          // every valid row: block * 16 + lane
  std::vector<size_t> denoise_blocks_;  // blocks of denoise groups, in order
  size_t blocks_ = 0;
};

}  // namespace dgemma::model
