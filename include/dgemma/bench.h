// run_bench: how fast a model runs on this machine, and how near that is to what the machine can do.
//
// Everything is measured in one run: the machine's read rate and the kernels' peak, then loading, prompts, denoising
// steps split by part, and the same weights used autoregressively. No number comes from a run whose output was not
// checked. What is printed of it: docs/CLI.md, "bench". Test: tests/engine/bench_test.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/options.h"
#include "dgemma/result.h"
#include "dgemma/sweep_parts.h"

namespace dgemma {

/// Who chooses the experts of a measured row.
enum class BenchRouting {
  kModel,  ///< the checkpoint's router
  /// A draw by layer and position: rows choose independently, and all experts get about as many. Random weights send
  /// all rows to few experts, which costs far less than a trained router's spread; independent choices cost the most.
  kEven,
};

struct BenchOptions {
  /// Most tokens before a canvas that steps are measured at; 0: 4096, or what the model has room for.
  int context = 0;
  /// The prompt, repeated to fill longer ones; its length is the default context. Empty: pseudo-random tokens, 512.
  std::optional<std::vector<int32_t>> prompt_ids = {};
  int repeat = 3;  ///< rounds, 2 .. 1000; each measures everything, and all have to give the same bits
  /// Temperature of the measured steps; max_denoising_steps: steps of a canvas in tokens/s.
  SamplerOptions sampler = {};
  BenchRouting routing = BenchRouting::kModel;  ///< of everything that is measured, and of the reference
  /// What the read rate is measured with; much larger than the caches. 1 MiB .. 1 TiB.
  uint64_t read_buffer_bytes = uint64_t{1} << 30;
  /// How long each rate of the machine is measured, in seconds, of which the best few milliseconds count. Above 0, at
  /// most 60.
  double rate_seconds = 0.4;
  /// Told what is being measured; may be empty.
  std::function<void(std::string_view what)> progress = {};
};

/// The parts by name, in the order in which they are printed.
struct BenchPart {
  const char* name;
  double SweepParts::*value;
};
inline constexpr BenchPart kBenchParts[] = {
    {"attention", &SweepParts::attention}, {"projections", &SweepParts::projections}, {"dense", &SweepParts::dense},
    {"experts", &SweepParts::experts},     {"vocabulary", &SweepParts::vocabulary},   {"rest", &SweepParts::rest}};

/// What a sweep has to do at least, and how long the machine needs for that: the longer of reading the bytes at the
/// measured rate and computing the operations at the measured peak, part by part.
struct SweepWork {
  SweepParts bytes;       ///< weights (of experts: the touched ones), and cached keys and values, each read once
  SweepParts operations;  ///< a multiply-add is two
  SweepParts limit_s;
};

struct BenchPrefill {
  int tokens = 0;
  double seconds = 0;
  double tokens_per_s = 0;
  double limit_s = 0;
};

/// Experts of a layer that the rows of a sweep chose.
struct BenchExperts {
  int experts = 0;  ///< of a layer
  double mean = 0;  ///< over the layers
  int least = 0, most = 0;
  double independent = 0;  ///< what as many rows touch on average where each chooses at random

  /// Whether rows choose so much alike that the experts take much less time than a trained model's.
  bool collapsed() const { return mean < independent / 2; }
};

/// A denoising step with self-conditioning, of a whole canvas.
struct BenchStep {
  int context = 0;
  double seconds = 0;  ///< median of the rounds
  double best_s = 0;
  SweepParts parts;  ///< seconds, of the median round (of an even number: the mean of the two middle ones)
  SweepWork work;
  BenchExperts experts_touched;
};

/// Autoregressive decoding with the same weights: encode one token, LM head, most probable token, and so on.
struct BenchDecode {
  int tokens = 0;
  double tokens_per_s = 0;
  double weight_bytes = 0;  ///< what one token has to read
  double limit_tokens_per_s = 0;
};

/// What the measured step and commit make of a number of steps.
struct BenchDiffusion {
  int steps_per_canvas = 0;
  double tokens_per_s = 0;
};

/// The measured outputs against those of other settings, on one small canvas.
struct BenchCheck {
  std::string kernels, compute;  ///< of the reference
  int rows = 0;
  double mean_kl = 0;  ///< nats, KL(reference || measured), mean over the rows
  double max_kl = 0;
  double bound = 0;  ///< what mean_kl had to stay below
  double argmax_agreement = 0;
};

struct BenchReport {
  std::string model_path;
  uint64_t parameters = 0;
  int canvas_length = 0;
  std::string cpu;
  int threads = 0;
  std::string kernels, compute;
  BenchRouting routing = BenchRouting::kModel;

  double weight_bytes = 0;  ///< what one step has to read, of experts those that its rows chose
  double read_bytes_per_s = 0;
  double f32_ops_per_s = 0;                              ///< of the kernel table's own product, operands in the caches
  std::optional<double> bf16_ops_per_s, int8_ops_per_s;  ///< empty: the table has no such products

  double load_s = 0;
  std::vector<BenchPrefill> prefill;
  std::vector<BenchStep> steps;  ///< the first one is at the default context
  double commit_s = 0;           ///< encoding a finished canvas
  BenchDecode decode;
  /// Steps of a canvas at which diffusion is as fast as autoregressive decoding; 0 or less: it is slower with any
  /// number.
  double break_even_steps = 0;
  int steps_per_canvas = 0;               ///< the most that the sampler takes
  double tokens_per_s = 0;                ///< with so many
  std::vector<BenchDiffusion> diffusion;  ///< with 8, 16 and the most, fewest first
  uint64_t peak_rss_bytes = 0;            ///< of loading and of all rounds

  int rounds = 0;  ///< that agreed bit by bit
  BenchCheck check;
};

/// Runs one combination of kernels and compute. Takes minutes for a large model.
/// Errors: those of Engine::open; kUsage (options; a context beyond the model's), kOutOfMemory (how much, for what),
/// kInternal (outputs that differ between rounds, or too much from the reference).
Result<BenchReport> run_bench(const EngineOptions& engine, const BenchOptions& options);

}  // namespace dgemma
