// The soft embedding's share of some rows of a packed table; part of the vocabulary pass (vocabulary.h).
#pragma once

#include "ops/exec.h"
#include "tensor/packed_layout.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// The most rows of the table that a PackedWeightedSum takes: its sums, which are larger than a second-level cache, are
/// read and written once for all of them.
inline constexpr size_t kMostSummedRows = 4096;

/// Sums w^T p for up to kMostSummedRows packed rows, whose p >= 0 come some at a time, as an online softmax gives them:
/// what came before may be rescaled. The table's scales are folded into its codes and p is quantised, so a sum is
/// within about 1 % (tests/ops/packed_test.cc has the bound).
class PackedWeightedSum {
 public:
  /// w [V, D]. Takes this worker's weight_scratch, scratch_floats of it.
  PackedWeightedSum(Exec& exec, int worker, const tensor::Weight& w, size_t blocks);
  static constexpr size_t scratch_floats(size_t blocks) {
    return kMostSummedRows + blocks * tensor::quantised_features(kMostSummedRows) * tensor::kLanes;
  }

  /// Rows from `first` on, a multiple of kSummedRun: as many, or up to the last. Best while they are in a cache.
  void begin_run(size_t first, size_t rows);
  /// p [rows, 16] of a block for the same rows.
  void put(size_t block, size_t first, const float* p, size_t rows);
  /// Multiplies what a block has of rows before `end` by factor [16].
  void rescale(size_t block, size_t end, const float* factor);
  /// out [B, D, 16] = out * rescale [B, 16] + the sums.
  void add_to(tensor::Blocks out, const float* rescale) const;

 private:
  const kernels::KernelTable& table_;
  tensor::Weight w_;
  float* row_scale_;         // [V], in whole panels
  tensor::Blocks prepared_;  // [B, quantised V, 16]
};

}  // namespace dgemma::ops
