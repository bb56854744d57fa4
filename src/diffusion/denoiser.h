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

/// What becomes of the soft embedding of a step, which the next step of the same canvas is conditioned on.
enum class Soft {
  kCompute,  ///< a next step will probably follow
  kDefer,    ///< this step is probably the canvas's last: compute it only when a next step asks for it
  kDiscard,  ///< no step of this canvas can follow
};

struct StepInput {
  /// Final tokens to append to the context before this step: the canvas before this one. Empty: none.
  std::span<const int32_t> append;
  std::span<const int32_t> canvas;  ///< [L] token ids
  double temperature = 1;           ///< > 0
  std::span<const double> uniform;  ///< [L] in [0, 1): one draw per row
  bool first = false;               ///< first step of a canvas: nothing to condition on
  Soft soft = Soft::kCompute;       ///< changes no result, only when work is done
};

class Denoiser {
 public:
  virtual ~Denoiser() = default;
  /// Appends input.append to the context, then predicts every row of the canvas behind it; both may be computed at
  /// once. Remembers what the next step of the same canvas is conditioned on. decisions: [L].
  virtual Result<void> predict(const StepInput& input, std::span<RowDecision> decisions) = 0;
};

}  // namespace dgemma::diffusion
