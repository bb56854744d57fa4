// See sampler_values.h. Ranges: transformers' DiffusionGemmaGenerationConfig.validate, and that every step's
// temperature is above 0. Test: tests/engine/sampler_values_test.cc.
#include "engine/sampler_values.h"

#include <cmath>

#include "base/format.h"

namespace dgemma::engine {
namespace {

Unexpected wrong(const char* field, const std::string& expected, double got) {
  return {ErrorCode::kInvalidRequest, base::concat(field, ": expected ", expected, ", got ", got)};
}

template <class T>
T merged(const std::optional<T>& request, const std::optional<T>& checkpoint, T published) {
  return request.value_or(checkpoint.value_or(published));
}

}  // namespace

Result<SamplerValues> resolve_sampler(const SamplerOptions& r, const SamplerOptions& c) {
  const SamplerValues published;
  SamplerValues v;
  v.max_denoising_steps = merged(r.max_denoising_steps, c.max_denoising_steps, published.max_denoising_steps);
  v.t_min = merged(r.t_min, c.t_min, published.t_min);
  v.t_max = merged(r.t_max, c.t_max, published.t_max);
  v.entropy_bound = merged(r.entropy_bound, c.entropy_bound, published.entropy_bound);
  v.stability_threshold = merged(r.stability_threshold, c.stability_threshold, published.stability_threshold);
  v.confidence_threshold = merged(r.confidence_threshold, c.confidence_threshold, published.confidence_threshold);
  if (v.max_denoising_steps < 1 || v.max_denoising_steps > kMostSteps)
    return wrong("max_denoising_steps", base::concat("1 to ", kMostSteps), v.max_denoising_steps);
  if (!std::isfinite(v.t_min) || v.t_min < 0) return wrong("t_min", "a temperature of at least 0", v.t_min);
  if (!std::isfinite(v.t_max) || v.t_max < kLeastTemperature)
    return wrong("t_max", base::concat("a temperature of at least ", kLeastTemperature), v.t_max);
  if (v.t_min > v.t_max) return wrong("t_min", base::concat("at most t_max, ", v.t_max), v.t_min);
  if (!std::isfinite(v.entropy_bound) || v.entropy_bound < 0)
    return wrong("entropy_bound", "nats of at least 0", v.entropy_bound);
  if (v.stability_threshold < 0 || v.stability_threshold > kMostSteps)
    return wrong("stability_threshold", base::concat("0 to ", kMostSteps), v.stability_threshold);
  if (!std::isfinite(v.confidence_threshold) || v.confidence_threshold < 0)
    return wrong("confidence_threshold", "nats of at least 0", v.confidence_threshold);
  return v;
}

}  // namespace dgemma::engine
