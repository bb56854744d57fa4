// See model_denoiser.h.
#include "engine/model_denoiser.h"

#include <algorithm>
#include <chrono>

namespace dgemma::engine {
namespace {

// Rows of one prompt chunk: wide enough for products to run at full speed, small enough that its activations stay a
// small part of memory and a cancel waits for one layer of so many rows. In company half of it, since others' canvases
// wait for the sweep's end. A chunk's size changes no result.
constexpr size_t kPromptChunk = 512;
constexpr size_t kPromptChunkInCompany = 256;

/// Adds the time of its life to a counter of seconds.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Result<void> ModelDenoiser::encode(std::span<const int32_t> tokens) {
  model::RowGroup group;
  group.cache = &cache_, group.tokens = tokens, group.cancel = cancel_;
  DG_TRY(rider_.run({&group, 1}));
  encoded_.insert(encoded_.end(), tokens.begin(), tokens.end());
  return {};
}

Result<void> ModelDenoiser::encode_prompt(std::span<const int32_t> rest) {
  const Stopwatch watch(timing_.prompt_s);
  while (!rest.empty()) {
    const size_t most = rider_.has_company() ? kPromptChunkInCompany : kPromptChunk;
    const size_t rows = std::min(most, rest.size());
    DG_TRY(encode(rest.first(rows)));
    rest = rest.subspan(rows);
  }
  return {};
}

Result<void> ModelDenoiser::commit(std::span<const int32_t> tokens) {
  const Stopwatch watch(timing_.commit_s);
  return encode(tokens);
}

Result<void> ModelDenoiser::predict(const diffusion::StepInput& input, std::span<diffusion::RowDecision> decisions) {
  const Stopwatch watch(timing_.denoise_s);
  predictions_.resize(decisions.size());
  if (input.first) conditioning_.present = false;
  model::RowGroup group;
  group.cache = &cache_, group.tokens = input.canvas, group.cancel = cancel_;
  group.denoise = true;
  group.temperature = input.temperature, group.uniform = input.uniform;
  group.conditioning = &conditioning_, group.keep_soft = input.keep_soft;
  group.predictions = predictions_;
  DG_TRY(rider_.run({&group, 1}));
  for (size_t row = 0; row < decisions.size(); ++row) {
    const ops::RowPrediction& p = predictions_[row];
    decisions[row] = {p.best, p.sample, p.entropy, p.best_logprob};
  }
  return {};
}

}  // namespace dgemma::engine
