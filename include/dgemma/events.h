// What a session reports while it answers: drafts that may still change, committed text, and the end.
//
// Spans and string views are valid during the callback only. Source of the terms: docs/GLOSSARY.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dgemma {

/// The sampler's values in force after the defaults, the checkpoint and the request were merged.
struct SamplerValues {
  int max_denoising_steps = 48;
  double t_min = 0.4;
  double t_max = 0.8;
  double entropy_bound = 0.1;
  int stability_threshold = 1;
  double confidence_threshold = 0.005;
};

/// The start of an answer, always the first event, before anything is computed.
struct Started {
  std::span<const int32_t> prompt_ids;  ///< [prompt tokens]
  int cached_tokens = 0;                ///< of the prompt, in the cache already
  uint64_t seed = 0;
  int canvas_length = 0;
  int vocab_size = 0;
  std::span<const int32_t> eos_ids;     ///< in force
  std::span<const int32_t> canvas_ids;  ///< the given first canvas; empty: noise
  int max_new_tokens = 0;               ///< in force: the limit asked for, or what the context has room for
  SamplerValues sampler;
};

/// A canvas before its first step.
struct CanvasStarted {
  int canvas = 0;                  ///< from 0 within one answer
  int max_steps = 0;               ///< the cap in force
  std::span<const int32_t> input;  ///< [canvas_length]: noise, or the given first canvas
};

/// One of a row's most probable tokens.
struct TopToken {
  int32_t id = -1;
  float logprob = -std::numeric_limits<float>::infinity();  ///< nats, after temperature
};
/// The most that can be asked for of each row (GenerateOptions::top_tokens).
constexpr size_t kMostTopTokens = 20;

/// One denoising step of one canvas, after acceptance and renoising. For displays and traces; may still change.
/// All spans have canvas_length entries, but `top`.
struct CanvasDraft {
  int canvas = 0;                       ///< from 0 within one answer
  int step = 0;                         ///< from 0 within one canvas
  int max_steps = 0;                    ///< the cap in force
  double temperature = 0;               ///< of this step
  double mean_entropy = 0;              ///< nats
  bool last = false;                    ///< this canvas's last step: `best` is what it becomes
  bool converged = false;               ///< last because the stopping rule held (otherwise the cap was reached)
  std::span<const int32_t> input;       ///< what this step saw
  std::span<const int32_t> best;        ///< most probable token of each row
  std::span<const int32_t> sample;      ///< drawn token of each row
  std::span<const int32_t> next;        ///< what the next step would see
  std::span<const uint8_t> accepted;    ///< 1 where the sample was accepted
  std::span<const float> entropy;       ///< nats
  std::span<const float> best_logprob;  ///< nats, after temperature
  /// [canvas_length, GenerateOptions::top_tokens]: each row's most probable tokens, in descending order, equal ones by
  /// id; the first is `best`.
  std::span<const TopToken> top = {};
};

/// Final tokens of one canvas; never taken back. `text` is whole characters only: half of one waits for the next
/// canvas or the end.
struct Committed {
  int canvas = 0;
  int steps = 0;  ///< denoising steps that this canvas took
  bool converged = false;
  std::span<const int32_t> canvas_tokens;  ///< [canvas_length], the whole canvas
  std::span<const int32_t> tokens;         ///< up to the first end token or the token limit
  std::string_view text;
};

/// Why an answer ended.
enum class FinishReason {
  kStop,       ///< an end token
  kLength,     ///< max_new_tokens, or the context is full
  kCancelled,  ///< GenerateOptions::stop
};
const char* finish_reason_name(FinishReason reason);

/// Where the time of an answer went, in seconds of wall clock.
struct Timing {
  double prompt_s = 0;   ///< encoding the prompt (not the part that was in the cache)
  double denoise_s = 0;  ///< all denoising steps
  double commit_s = 0;   ///< encoding finished canvases
  double total_s = 0;
};

/// The end of an answer, always the last event.
struct Finished {
  FinishReason reason = FinishReason::kStop;
  int prompt_tokens = 0;
  int cached_tokens = 0;      ///< of the prompt, taken from the cache
  int completion_tokens = 0;  ///< committed, end tokens excluded
  std::vector<int> steps_per_canvas;
  int denoising_steps = 0;        ///< sum of steps_per_canvas
  double tokens_per_forward = 0;  ///< completion_tokens / denoising_steps
  Timing timing;
};

using Event = std::variant<Started, CanvasStarted, CanvasDraft, Committed, Finished>;

}  // namespace dgemma
