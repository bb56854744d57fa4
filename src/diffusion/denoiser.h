// Denoiser: the seam between the diffusion loop and whatever computes predictions.
//
// The loop knows canvases, temperatures and random numbers; a Denoiser knows a model and a cache. The engine plugs the
// model in (engine/model_denoiser.cc), tests plug in a script without weights, another backend would be a third. What
// steers a row from outside (a pinned token, an allowed set) will go in through StepInput.
#pragma once

#include <cstdint>
#include <span>

#include "dgemma/result.h"

namespace dgemma::diffusion {

/// What is decided for one row of the canvas at one step.
struct RowDecision {
  int32_t best = 0;        ///< most probable token
  int32_t sample = 0;      ///< the token drawn with the given uniform number
  float entropy = 0;       ///< nats, after temperature
  float best_logprob = 0;  ///< nats, after temperature
};

struct StepInput {
  std::span<const int32_t> canvas;  ///< [L] token ids
  double temperature = 1;           ///< > 0
  std::span<const double> uniform;  ///< [L] in [0, 1): one draw per row
  bool first = false;               ///< first step of a canvas: nothing to condition on
  bool keep_soft = true;            ///< false when no step of this canvas can follow
};

class Denoiser {
 public:
  virtual ~Denoiser() = default;
  /// Predicts every row of the canvas behind what is committed. Remembers the soft embedding of this step for the next
  /// one of the same canvas. decisions: [L].
  virtual Result<void> predict(const StepInput& input, std::span<RowDecision> decisions) = 0;
  /// Appends final tokens to the context that later canvases see.
  virtual Result<void> commit(std::span<const int32_t> tokens) = 0;
};

}  // namespace dgemma::diffusion
