// See model_denoiser.h.
#include "engine/model_denoiser.h"

#include <algorithm>

#include "base/stopwatch.h"

namespace dgemma::engine {
namespace {

// Rows of one prompt chunk where others' canvases wait for the sweep's end.
constexpr size_t kPromptChunkInCompany = model::kPromptChunk / 2;

}  // namespace

/// Encodes the prompt in chunks. The last one may be left for the first step's sweep.
Result<void> ModelDenoiser::encode_prompt() {
  while (!prompt_.empty()) {
    const size_t most = rider_.has_company() ? kPromptChunkInCompany : model::kPromptChunk;
    if (prompt_.size() <= most && options_.join_prompt) return {};
    const std::span<const int32_t> chunk = prompt_.first(std::min(most, prompt_.size()));
    DG_TRY(encode(chunk, timing_.prompt_s));
    prompt_ = prompt_.subspan(chunk.size());
  }
  return {};
}

Result<void> ModelDenoiser::predict(const diffusion::StepInput& input, std::span<diffusion::RowDecision> decisions) {
  predictions_.resize(decisions.size());
  top_.resize(decisions.size() * top_tokens_);
  if (input.first) start_canvas(input.canvas.size());
  DG_TRY(encode_prompt());
  const bool prompt = !prompt_.empty();
  double& append_seconds = prompt ? timing_.prompt_s : timing_.commit_s;
  std::span<const int32_t> append = prompt ? prompt_ : input.append;
  if (!append.empty() && !prompt && !options_.join_commit) {
    DG_TRY(encode(append, append_seconds));
    append = {};
  }
  DG_TRY(step(append, append_seconds, canvas_group(input)));
  prompt_ = {};
  for (size_t row = 0; row < decisions.size(); ++row) {
    const ops::RowPrediction& p = predictions_[row];
    decisions[row] = {p.best, p.sample, p.entropy, p.best_logprob};
  }
  return {};
}

model::RowGroup ModelDenoiser::encode_group(std::span<const int32_t> tokens) const {
  model::RowGroup group;
  group.cache = &cache_, group.tokens = tokens, group.cancel = cancel_;
  group.only_cache = options_.skip_encoded_tail;
  return group;
}

model::RowGroup ModelDenoiser::canvas_group(const diffusion::StepInput& input) {
  using diffusion::Soft;
  model::RowGroup group;
  group.cache = &cache_, group.tokens = input.canvas, group.cancel = cancel_;
  group.denoise = true;
  group.temperature = input.temperature, group.uniform = input.uniform;
  group.conditioning = &conditioning_, group.predictions = predictions_, group.top_tokens = top_;
  group.keep_soft = input.soft != Soft::kDiscard || !options_.skip_soft;
  group.defer_soft = input.soft == Soft::kDefer && options_.defer_soft;
  return group;
}

/// A canvas starts without a soft embedding, which stands for zeros; to measure what that saves, with zeros.
void ModelDenoiser::start_canvas(size_t length) {
  conditioning_.present = conditioning_.deferred = false;
  if (options_.skip_conditioning) return;
  conditioning_.soft = tensor::BlockMatrix(length, static_cast<size_t>(config_.width));
  conditioning_.present = true;
}

Result<void> ModelDenoiser::encode(std::span<const int32_t> tokens, double& seconds) {
  const base::Stopwatch watch;
  const model::RowGroup group = encode_group(tokens);
  const Result<void> done = rider_.run({&group, 1});
  seconds += watch.seconds();
  DG_TRY(done);
  encoded_.insert(encoded_.end(), tokens.begin(), tokens.end());
  return {};
}

/// One sweep: what is to be appended, then the canvas. Its time is divided by rows.
Result<void> ModelDenoiser::step(std::span<const int32_t> append, double& append_seconds,
                                 const model::RowGroup& canvas) {
  const base::Stopwatch watch;
  const model::RowGroup both[] = {append.empty() ? canvas : encode_group(append), canvas};
  const Result<void> done = rider_.run(std::span(both).subspan(append.empty() ? 1 : 0));
  const double appended = static_cast<double>(append.size()), drawn = static_cast<double>(canvas.tokens.size());
  const double seconds = watch.seconds();
  append_seconds += seconds * (appended / (appended + drawn));
  timing_.denoise_s += seconds * (drawn / (appended + drawn));
  DG_TRY(done);
  encoded_.insert(encoded_.end(), append.begin(), append.end());
  return {};
}

}  // namespace dgemma::engine
