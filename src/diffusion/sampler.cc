// See sampler.h.
#include "diffusion/sampler.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/philox.h"

namespace dgemma::diffusion {

using base::draw_bits;
using base::DrawPurpose;

namespace {
// How far above the confidence threshold the mean entropy of a step may be for the next one to be likely the last.
constexpr double kNear = 2;
}  // namespace

double step_temperature(const SamplerValues& sampler, int step) {
  const int remaining = sampler.max_denoising_steps - step;
  return sampler.t_min +
         (sampler.t_max - sampler.t_min) * (static_cast<double>(remaining) / sampler.max_denoising_steps);
}

std::vector<int32_t> initial_canvas(uint64_t seed, int canvas, int length, int vocab) {
  std::vector<int32_t> tokens(static_cast<size_t>(length));
  for (size_t row = 0; row < tokens.size(); ++row) {
    const uint64_t bits =
        draw_bits(seed, DrawPurpose::kInitialCanvas, static_cast<uint32_t>(canvas), 0, static_cast<uint32_t>(row));
    tokens[row] = static_cast<int32_t>(base::uniform_below(bits, static_cast<uint32_t>(vocab)));
  }
  return tokens;
}

void draw_uniforms(const StepKey& key, std::span<double> uniform) {
  for (size_t row = 0; row < uniform.size(); ++row)
    uniform[row] = base::uniform_unit(draw_bits(key.seed, DrawPurpose::kSample, static_cast<uint32_t>(key.canvas),
                                                static_cast<uint32_t>(key.step), static_cast<uint32_t>(row)));
}

void accept_rows(std::span<const float> entropy, double bound, std::span<uint32_t> order, std::span<uint8_t> accepted) {
  DG_CHECK(entropy.size() == accepted.size() && entropy.size() == order.size(), entropy.size(), " ", accepted.size());
  std::iota(order.begin(), order.end(), 0u);
  // Not std::stable_sort, which allocates.
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return entropy[a] != entropy[b] ? entropy[a] < entropy[b] : a < b; });
  double sum = 0;
  for (const uint32_t row : order) {
    sum += entropy[row];
    const float before = static_cast<float>(sum) - entropy[row];  // in float32, as the reference, and so is the bound
    accepted[row] = before <= static_cast<float>(bound) ? 1 : 0;
  }
}

void renoise(const StepKey& key, int vocab, std::span<const int32_t> sample, std::span<const uint8_t> accepted,
             std::span<int32_t> next) {
  for (size_t row = 0; row < next.size(); ++row) {
    const uint64_t bits = draw_bits(key.seed, DrawPurpose::kRenoise, static_cast<uint32_t>(key.canvas),
                                    static_cast<uint32_t>(key.step), static_cast<uint32_t>(row));
    next[row] = accepted[row] != 0 ? sample[row]
                                   : static_cast<int32_t>(base::uniform_below(bits, static_cast<uint32_t>(vocab)));
  }
}

bool StoppingRule::update(std::span<const int32_t> best, double mean_entropy) {
  const bool same = last_.size() == best.size() && std::equal(best.begin(), best.end(), last_.begin());
  repeats_ = same ? repeats_ + 1 : 0;
  last_.assign(best.begin(), best.end());
  last_entropy_ = mean_entropy;
  return repeats_ >= stability_threshold_ && mean_entropy < confidence_threshold_;
}

bool StoppingRule::is_near() const {
  return repeats_ + 1 >= stability_threshold_ && last_entropy_ < kNear * confidence_threshold_;
}

}  // namespace dgemma::diffusion
