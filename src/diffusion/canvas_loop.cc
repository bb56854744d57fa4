// See canvas_loop.h.
#include "diffusion/canvas_loop.h"

#include <algorithm>

#include "base/check.h"
#include "diffusion/sampler.h"

namespace dgemma::diffusion {
namespace {

/// The rows of one canvas while it is refined. Every vector: [L].
class CanvasRun {
 public:
  CanvasRun(const LoopOptions& options, int canvas, std::vector<int32_t> start)
      : options_(options),
        canvas_(canvas),
        input_(std::move(start)),
        stopping_(options.sampler.stability_threshold, options.sampler.confidence_threshold) {
    const auto length = input_.size();
    best_.resize(length), sample_.resize(length), next_.resize(length), accepted_.resize(length);
    entropy_.resize(length), best_logprob_.resize(length), uniform_.resize(length), decisions_.resize(length);
    order_.resize(length);
  }

  /// Runs steps until the last one; the first one appends the canvas before this one. Errors: the denoiser's,
  /// kCancelled.
  Result<void> refine(std::span<const int32_t> append, Denoiser& denoiser, const LoopObserver& observer) {
    if (observer.on_start) observer.on_start({canvas_, options_.sampler.max_denoising_steps, input_});
    while (true) {
      if (options_.cancel != nullptr && options_.cancel->load()) return Unexpected(ErrorCode::kCancelled, "cancelled");
      DG_TRY(predict(steps_ == 0 ? append : std::span<const int32_t>{}, denoiser));
      const double mean = decide();
      // A canvas that meets the rule at its last allowed step counts as capped, as in the reference's records.
      converged_ = stopping_.update(best_, mean) && !at_cap();
      const bool last = converged_ || at_cap();
      if (observer.on_step) observer.on_step(draft(mean, last));
      ++steps_;
      if (last) return {};
      input_.swap(next_);
    }
  }

  int steps() const { return steps_; }
  bool converged() const { return converged_; }
  std::span<const int32_t> best() const { return best_; }

 private:
  bool at_cap() const { return steps_ + 1 == options_.sampler.max_denoising_steps; }
  StepKey key() const { return {options_.seed, canvas_, steps_}; }

  Result<void> predict(std::span<const int32_t> append, Denoiser& denoiser) {
    draw_uniforms(key(), uniform_);
    StepInput step;
    step.append = append, step.canvas = input_, step.uniform = uniform_, step.first = steps_ == 0;
    step.temperature = step_temperature(options_.sampler, steps_);
    step.soft = at_cap() ? Soft::kDiscard : stopping_.is_near() ? Soft::kDefer : Soft::kCompute;
    return denoiser.predict(step, decisions_);
  }

  /// Takes the decisions apart, accepts and renoises. Returns the mean entropy.
  double decide() {
    double sum = 0;
    for (size_t row = 0; row < decisions_.size(); ++row) {
      const RowDecision& d = decisions_[row];
      best_[row] = d.best, sample_[row] = d.sample, entropy_[row] = d.entropy, best_logprob_[row] = d.best_logprob;
      sum += d.entropy;
    }
    accept_rows(entropy_, options_.sampler.entropy_bound, order_, accepted_);
    renoise(key(), options_.vocab_size, sample_, accepted_, next_);
    return sum / static_cast<double>(decisions_.size());
  }

  CanvasDraft draft(double mean_entropy, bool last) const {
    CanvasDraft d;
    d.canvas = canvas_, d.step = steps_, d.max_steps = options_.sampler.max_denoising_steps;
    d.temperature = step_temperature(options_.sampler, steps_);
    d.mean_entropy = mean_entropy, d.last = last, d.converged = converged_;
    d.input = input_, d.best = best_, d.sample = sample_, d.next = next_;
    d.accepted = accepted_, d.entropy = entropy_, d.best_logprob = best_logprob_;
    return d;
  }

  const LoopOptions& options_;
  int canvas_;
  int steps_ = 0;
  bool converged_ = false;
  std::vector<int32_t> input_, best_, sample_, next_;
  std::vector<uint32_t> order_;
  std::vector<uint8_t> accepted_;
  std::vector<float> entropy_, best_logprob_;
  std::vector<double> uniform_;
  std::vector<RowDecision> decisions_;
  StoppingRule stopping_;
};

size_t rows_before_end(std::span<const int32_t> tokens, const std::vector<int32_t>& eos_ids) {
  const auto is_end = [&](int32_t id) { return std::find(eos_ids.begin(), eos_ids.end(), id) != eos_ids.end(); };
  return static_cast<size_t>(std::find_if(tokens.begin(), tokens.end(), is_end) - tokens.begin());
}

}  // namespace

Result<LoopResult> run_canvases(const LoopOptions& options, Denoiser& denoiser, const LoopObserver& observer) {
  DG_CHECK(options.canvas_length > 0 && options.vocab_size > 0 && options.max_new_tokens > 0, "empty canvas");
  DG_CHECK(options.first_canvas.empty() || options.first_canvas.size() == static_cast<size_t>(options.canvas_length),
           options.first_canvas.size());
  LoopResult result;
  std::vector<int32_t> finished;  // the canvas before, not committed yet
  for (int canvas = 0; canvas < options.max_canvases; ++canvas) {
    const bool given = canvas == 0 && !options.first_canvas.empty();
    CanvasRun run(
        options, canvas,
        given ? options.first_canvas : initial_canvas(options.seed, canvas, options.canvas_length, options.vocab_size));
    const Result<void> refined = run.refine(finished, denoiser, observer);
    if (run.steps() > 0) result.steps_per_canvas.push_back(run.steps());
    if (!refined) {
      if (refined.error().code != ErrorCode::kCancelled) return Unexpected(refined.error());
      result.reason = FinishReason::kCancelled;
      return result;
    }
    const size_t room = static_cast<size_t>(options.max_new_tokens) - result.tokens.size();
    const size_t before_end = rows_before_end(run.best(), options.eos_ids);
    const std::span<const int32_t> tokens = run.best().first(std::min(room, before_end));
    result.tokens.insert(result.tokens.end(), tokens.begin(), tokens.end());
    if (observer.on_canvas) observer.on_canvas({canvas, run.steps(), run.converged(), run.best(), tokens});
    if (before_end < std::min(room, run.best().size())) {
      result.reason = FinishReason::kStop;
      return result;
    }
    if (tokens.size() == room) return result;
    finished.assign(run.best().begin(), run.best().end());
  }
  return result;
}

}  // namespace dgemma::diffusion
