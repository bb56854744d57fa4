// ModelDenoiser: the model behind the diffusion loop's seam, for one session's cache.
#pragma once

#include <atomic>
#include <vector>

#include "dgemma/events.h"
#include "diffusion/denoiser.h"
#include "engine/sweep_queue.h"

namespace dgemma::engine {

class ModelDenoiser : public diffusion::Denoiser {
 public:
  /// `encoded` are the tokens in the cache; it grows with it.
  ModelDenoiser(SweepQueue::Rider& rider, model::KvCache& cache, std::vector<int32_t>& encoded,
                const std::atomic<bool>* cancel, Timing& timing)
      : rider_(rider), cache_(cache), encoded_(encoded), cancel_(cancel), timing_(timing) {}

  /// Encodes the part of a prompt that is not in the cache yet, in chunks.
  Result<void> encode_prompt(std::span<const int32_t> rest);
  Result<void> predict(const diffusion::StepInput& input, std::span<diffusion::RowDecision> decisions) override;
  Result<void> commit(std::span<const int32_t> tokens) override;

 private:
  Result<void> encode(std::span<const int32_t> tokens);

  SweepQueue::Rider& rider_;
  model::KvCache& cache_;
  std::vector<int32_t>& encoded_;
  const std::atomic<bool>* cancel_;
  Timing& timing_;
  model::SelfConditioning conditioning_;
  std::vector<ops::RowPrediction> predictions_;
};

}  // namespace dgemma::engine
