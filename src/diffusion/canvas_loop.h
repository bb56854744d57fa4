// The loop of an answer: canvas after canvas, each refined step by step until it converges.
//
// Block diffusion: a finished canvas is committed to the context and the next one starts from fresh noise. Knows no
// model (denoiser.h) and no text. Source: docs/MODEL.md section 5. Tests: tests/diffusion/canvas_loop_test.cc, with a
// scripted denoiser.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "dgemma/events.h"
#include "dgemma/result.h"
#include "diffusion/denoiser.h"

namespace dgemma::diffusion {

struct LoopOptions {
  SamplerValues sampler;
  uint64_t seed = 0;
  int canvas_length = 0;   ///< L
  int vocab_size = 0;      ///< V
  int max_new_tokens = 0;  ///< > 0; the answer is cut after so many, also inside a canvas
  int max_canvases = 0;    ///< > 0; what the context has room for
  std::vector<int32_t> eos_ids;
  std::vector<int32_t> first_canvas;          ///< [L], or empty: noise
  const std::atomic<bool>* cancel = nullptr;  ///< looked at before every step; may be null
};

/// One finished canvas.
struct FinishedCanvas {
  int canvas = 0;
  int steps = 0;
  bool converged = false;
  std::span<const int32_t> canvas_tokens;  ///< [L], best of the last step
  std::span<const int32_t> tokens;         ///< before the first end token, within max_new_tokens
};

/// Called on the loop's thread; the spans live during the call only.
struct LoopObserver {
  std::function<void(const CanvasStarted&)> on_start = {};
  std::function<void(const CanvasDraft&)> on_step = {};
  std::function<void(const FinishedCanvas&)> on_canvas = {};
};

struct LoopResult {
  FinishReason reason = FinishReason::kLength;
  std::vector<int32_t> tokens;        ///< committed, end tokens excluded
  std::vector<int> steps_per_canvas;  ///< of finished canvases, and of one that was cancelled after a step
};

/// Runs until an end token, max_new_tokens, max_canvases or cancel. A finished canvas is committed with the first step
/// of the next one (StepInput::append), hence only when there is one. Errors: those of the denoiser; kCancelled from it
/// ends the loop like `cancel`.
Result<LoopResult> run_canvases(const LoopOptions& options, Denoiser& denoiser, const LoopObserver& observer);

}  // namespace dgemma::diffusion
