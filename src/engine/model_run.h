// ModelRun: one model with everything that runs it, for measurements: sweeps that can be looked into.
//
// What bench and compare use in place of a Session: no text, no events, no lock, but the time by part and the hidden
// state before the LM head. One caller at a time. Tests: tests/engine/bench_test.cc, compare_test.cc.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/loaded_model.h"

namespace dgemma::engine {

/// One sweep of a ModelRun: the rows, what was in the cache before them, and what they chose.
struct SweptRows {
  int rows = 0;
  int context = 0;
  std::vector<int> touched_experts;  ///< by layer
};

class ModelRun {
 public:
  /// `loaded` must outlive it. even_routing: model::ExpertRouting::even.
  explicit ModelRun(const LoadedModel& loaded, bool even_routing = false);

  const model::Config& config() const { return model_.config(); }
  const ops::VocabularyWeights& vocabulary() const { return model_.weights().vocabulary; }
  ops::Exec& exec() { return exec_; }
  /// An empty cache for at most so many positions.
  model::KvCache new_cache(int64_t positions) const;
  /// Errors: kOutOfMemory where a cache of so many positions and what sweeps work in do not fit.
  Result<void> plan_memory(int64_t positions) const;

  /// From now on each sweep is appended to `sweeps`; null: to nothing.
  void record(std::vector<SweptRows>* sweeps) { record_ = sweeps; }

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
  model::ExpertRouting routing_;
  std::vector<SweptRows>* record_ = nullptr;
};

}  // namespace dgemma::engine
