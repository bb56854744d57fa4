// Plain options with their defaults: how to open a model, a session, an answer. Every field of an options struct has an
// initialiser, {} too, so that a list of some of them, {.seed = 7}, draws no warning about the others.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace dgemma {

// Limits of options, wherever they come from: arguments, requests, a checkpoint's own files.
inline constexpr int kMostThreads = 1024;
inline constexpr int kMostSteps = 10000;            ///< denoising steps of a canvas: 200 times the published number
inline constexpr double kLeastTemperature = 1e-10;  ///< of the first step: every step's logits stay finite in f32
inline constexpr int kMostPrompts = 10000;          ///< of one comparison

/// What EngineOptions::compute can be besides auto, most exact first.
inline constexpr std::array<const char*, 3> kComputeNames = {"f32", "bf16", "int8"};

/// Bytes read so far and in all while a model loads; for a progress display.
struct LoadProgress {
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
};

struct EngineOptions {
  std::string model_path = {};   ///< a folder in Hugging Face layout, a .safetensors or a .gguf file
  int threads = 0;               ///< 1 .. kMostThreads; 0: physical cores that this process may use
  std::string kernels = {};      ///< name of a kernel table; "" or "auto": the best of this machine
  std::string compute = "auto";  ///< arithmetic of products with weights: f32 (the reference's), bf16, int8 or auto
                                 ///< (int8); all but f32 keep the cache in bf16; int8 packs what is not packed yet
  /// Called from time to time during open; may be empty.
  std::function<void(const LoadProgress&)> progress = {};
  bool chat = false;  ///< refuse a model that cannot chat (no tokenizer, another chat format) before weights are loaded
};

struct SessionOptions {
  int context = 0;  ///< tokens of KV cache; 0: grows with need, at most the model's own context length
};

/// The sampler of docs/MODEL.md section 5. An empty field takes the checkpoint's value, then the published default.
struct SamplerOptions {
  std::optional<int> max_denoising_steps = {};      ///< per canvas, 1 .. kMostSteps; published 48
  std::optional<double> t_min = {};                 ///< where the temperature goes, >= 0; published 0.4
  std::optional<double> t_max = {};                 ///< of the first step, >= kLeastTemperature; published 0.8
  std::optional<double> entropy_bound = {};         ///< nats, >= 0; published 0.1
  std::optional<int> stability_threshold = {};      ///< equal steps before stopping, 0 .. kMostSteps; published 1
  std::optional<double> confidence_threshold = {};  ///< mean entropy in nats below which to stop, >= 0; published 0.005
};

/// Savings that change no result, not by a bit. Each can be left out, to measure what it is worth.
struct SweepOptions {
  bool join_commit = true;        ///< encode a finished canvas in the same sweep as the next one's first step
  bool join_prompt = true;        ///< encode the prompt's last chunk in the same sweep as the first step
  bool skip_conditioning = true;  ///< no self-conditioning MLP on a canvas's first step, where it gives zeros
  bool skip_soft = true;          ///< no soft embedding on the last step that the cap allows
  bool defer_soft = true;         ///< none on a step that will probably converge, unless another step follows
  bool skip_encoded_tail = true;  ///< encoding ends at the last layer's keys and values
};

struct GenerateOptions {
  std::optional<uint64_t> seed = {};       ///< empty: random; the one used is in Answer::seed
  std::optional<int> max_new_tokens = {};  ///< > 0; empty: until an end token or the context is full
  SamplerOptions sampler = {};
  std::optional<std::vector<int32_t>> canvas_ids = {};  ///< the first canvas instead of noise, canvas_length ids
  std::optional<std::vector<int32_t>> eos_ids = {};     ///< end tokens instead of the checkpoint's; an empty list: none
  int top_tokens = 0;  ///< most probable tokens of each row that drafts carry, 0 .. 20 (kMostTopTokens)
  /// Ends the answer when stop is requested, from any thread: before anything is computed where that was earlier than
  /// generate, within one layer's time when the session is alone, at once while it waits for others, and where it
  /// shares a sweep with others, at the end of that sweep. A token that was stopped stays so: the next answer takes a
  /// new one.
  std::stop_token stop = {};
  SweepOptions sweeps = {};  ///< for measuring only
};

}  // namespace dgemma
