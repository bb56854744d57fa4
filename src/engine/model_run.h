// ModelRun: one model with everything that runs it, for measurements: sweeps that can be looked into.
//
// What bench and compare use in place of a Session: no text, no events, no lock, but the time by part and the hidden
// state before the LM head. One caller at a time. Tests: tests/engine/bench_test.cc, compare_test.cc.
#pragma once

#include <memory>
#include <span>

#include "engine/loaded_model.h"

namespace dgemma::engine {

class ModelRun {
 public:
  /// `loaded` must outlive it.
  explicit ModelRun(const LoadedModel& loaded);

  const model::Config& config() const { return model_.config(); }
  const ops::VocabularyWeights& vocabulary() const { return model_.weights().vocabulary; }
  ops::Exec& exec() { return exec_; }
  /// An empty cache for at most so many positions.
  model::KvCache new_cache(int64_t positions) const;
  /// Errors: kOutOfMemory where a cache of so many positions and what sweeps work in do not fit.
  Result<void> plan_memory(int64_t positions) const;

  // What computes: kModelFile where numbers are not finite, with the tensor to blame (broken_weights.h).
  /// Appends tokens to a cache, in chunks and as far as a Session does.
  Result<void> encode(model::KvCache& cache, std::span<const int32_t> tokens);
  /// Runs a denoise group. `times` and `hidden` may be null; hidden becomes [rows, D], after the final norm.
  Result<void> denoise(const model::RowGroup& group, SweepParts* times, tensor::BlockMatrix* hidden);
  /// Appends one token and predicts the next one from its row.
  Result<ops::RowPrediction> decode(model::KvCache& cache, int32_t token);

 private:
  Result<void> sweep(const model::RowGroup& group, SweepParts* times, tensor::BlockMatrix* hidden);
  Result<void> sweep_to(const model::RowGroup& group, SweepParts* times, tensor::BlockMatrix& hidden);

  const formats::Checkpoint& checkpoint_;
  const model::Model& model_;
  ops::Exec exec_;
  std::unique_ptr<model::Workspace, void (*)(model::Workspace*)> workspace_;
  ops::VocabularyWorkspace vocabulary_space_;
  tensor::BlockMatrix decoded_;  // [1, D]
};

}  // namespace dgemma::engine
