// ModelDenoiser: the model behind the diffusion loop's seam, for one session's cache.
//
// Decides what shares a sweep within a session: the canvas before with the next one's first step, the prompt's last
// chunk with the first step of all. Tests: tests/engine/golden_test.cc, with every saving on and off.
#pragma once

#include <atomic>
#include <vector>

#include "dgemma/events.h"
#include "dgemma/options.h"
#include "diffusion/denoiser.h"
#include "engine/sweep_queue.h"

namespace dgemma::engine {

class ModelDenoiser : public diffusion::Denoiser {
 public:
  /// `encoded` are the tokens in the cache; it grows with it. `prompt`: what has to be in the cache before the first
  /// step, and is not yet.
  ModelDenoiser(const model::Config& config, SweepQueue::Rider& rider, model::KvCache& cache,
                std::vector<int32_t>& encoded, std::span<const int32_t> prompt, const std::atomic<bool>* cancel,
                const GenerateOptions& options, Timing& timing)
      : config_(config),
        rider_(rider),
        cache_(cache),
        encoded_(encoded),
        cancel_(cancel),
        options_(options.sweeps),
        top_tokens_(static_cast<size_t>(options.top_tokens)),
        timing_(timing),
        prompt_(prompt) {}

  Result<void> predict(const diffusion::StepInput& input, std::span<diffusion::RowDecision> decisions) override;
  /// Of the last prediction: [L, GenerateOptions::top_tokens]. Past the loop, which has no use for them.
  std::span<const TopToken> top() const { return top_; }

 private:
  Result<void> encode_prompt();
  model::RowGroup encode_group(std::span<const int32_t> tokens) const;
  model::RowGroup canvas_group(const diffusion::StepInput& input);
  void start_canvas(size_t length);
  Result<void> encode(std::span<const int32_t> tokens, double& seconds);
  Result<void> step(std::span<const int32_t> append, double& append_seconds, const model::RowGroup& canvas);

  const model::Config& config_;
  SweepQueue::Rider& rider_;
  model::KvCache& cache_;
  std::vector<int32_t>& encoded_;
  const std::atomic<bool>* cancel_;
  const SweepOptions options_;
  const size_t top_tokens_;
  Timing& timing_;
  std::span<const int32_t> prompt_;  // what is left of it
  model::SelfConditioning conditioning_;
  std::vector<ops::RowPrediction> predictions_;
  std::vector<TopToken> top_;
};

}  // namespace dgemma::engine
