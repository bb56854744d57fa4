// The entropy-bounded sampler: initial noise, temperature schedule, acceptance, renoising and stopping, one step each.
//
// Pure functions and one small state (StoppingRule); the loop that calls them is canvas_loop.cc. Sources: docs/MODEL.md
// section 5; Ben-Hamu et al., "Accelerated sampling from masked diffusion models via entropy bounded unmasking"
// (arXiv 2505.24857); transformers' generation_diffusion_gemma.py. Tests: tests/diffusion/sampler_test.cc.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "dgemma/events.h"

namespace dgemma::diffusion {

/// Names one step of one canvas of one answer, for the random numbers.
struct StepKey {
  uint64_t seed = 0;
  int canvas = 0;
  int step = 0;
};

/// t_min + (t_max - t_min) * remaining / N, where `remaining` = N - step counts down to 1.
double step_temperature(const SamplerValues& sampler, int step);

/// `length` tokens, uniform over the vocabulary.
std::vector<int32_t> initial_canvas(uint64_t seed, int canvas, int length, int vocab);

/// One uniform number in [0, 1) per row, for its sample. uniform: [L].
void draw_uniforms(const StepKey& key, std::span<double> uniform);

/// Accepts rows in ascending order of entropy (equal ones in row order) while the entropies accepted before sum to at
/// most `bound` nats. At least one row is accepted. entropy, accepted: [L]; order: [L], receives the rows in that
/// order.
void accept_rows(std::span<const float> entropy, double bound, std::span<uint32_t> order, std::span<uint8_t> accepted);

/// next = sample where accepted, else a fresh uniform token. All: [L].
void renoise(const StepKey& key, int vocab, std::span<const int32_t> sample, std::span<const uint8_t> accepted,
             std::span<int32_t> next);

/// Stops a canvas whose best tokens equal those of each of the last `stability_threshold` steps while the mean entropy
/// is below `confidence_threshold`.
class StoppingRule {
 public:
  StoppingRule(int stability_threshold, double confidence_threshold)
      : stability_threshold_(static_cast<size_t>(stability_threshold)), confidence_threshold_(confidence_threshold) {}
  /// Tells whether to stop after this step, and remembers it. best: [L].
  bool update(std::span<const int32_t> best, double mean_entropy);
  /// Whether the next step is probably the canvas's last, judged by the steps so far. A guess: it decides what work is
  /// put off, never a result.
  bool is_near() const;

 private:
  size_t stability_threshold_;
  double confidence_threshold_;
  double last_entropy_ = std::numeric_limits<double>::infinity();
  std::vector<int32_t> last_;
  size_t repeats_ = 0;  // steps before this one, in a row, with the same best tokens
};

}  // namespace dgemma::diffusion
