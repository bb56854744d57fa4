// compare_models: how far two models, or two precisions of one, are from each other in what they predict.
//
// Model A answers prompts with its own sampler; B is led along the same canvases, step by step, with its own cache and
// its own soft embeddings. For every row of every step: the KL divergence between the two distributions over the whole
// vocabulary, and whether the most probable token is the same. What is printed of it: docs/CLI.md, "compare".
// Test: tests/engine/compare_test.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/options.h"
#include "dgemma/result.h"

namespace dgemma {

struct CompareOptions {
  std::vector<std::string> chat_requests = {};          ///< prompts as chat requests (Session::sync_chat)
  std::vector<std::vector<int32_t>> prompt_ids = {};    ///< prompts as token ids, after those
  int random_prompts = 4;                               ///< where no prompt is given: so many, 1 .. kMostPrompts
  int random_tokens = 64;                               ///< tokens of each of them, > 0
  uint64_t seed = 0;                                    ///< of random prompts, canvases and samples
  SamplerOptions sampler = {};                          ///< empty fields: A's checkpoint, then the published defaults
  int worst_rows = 10;                                  ///< rows to list, >= 0
  std::function<void(std::string_view)> progress = {};  ///< told what is being computed; may be empty
};

/// One of the two models.
struct ComparedModel {
  std::string path;
  std::string kernels, compute;  ///< in force
  uint64_t parameters = 0;
};

/// What is said of a number of rows. KL(A || B) in nats.
struct DistanceSummary {
  double mean_kl = 0, median_kl = 0, p99_kl = 0, max_kl = 0;
  double argmax_agreement = 0;  ///< share of the rows
};

struct ComparedStep {
  int prompt = 0;  ///< from 0
  int step = 0;    ///< from 0
  double temperature = 0;
  std::vector<double> kl;  ///< by row of the canvas
  DistanceSummary summary;
};

struct ComparedRow {
  int prompt = 0, step = 0, row = 0;
  double kl = 0;
  int32_t best_a = 0, best_b = 0;  ///< most probable tokens
  double p_a = 0, p_b = 0;         ///< each model's probability of its own best token
  std::string text_a, text_b;      ///< of the best tokens; "" without a tokenizer
};

struct CompareReport {
  ComparedModel a, b;
  int prompts = 0;
  int64_t rows = 0;
  DistanceSummary summary;
  std::vector<ComparedStep> steps;
  std::vector<ComparedRow> worst;  ///< largest KL first
};

/// Errors: those of Engine::open; kUsage (options; one model with the same settings twice), kInvalidRequest (prompts;
/// models whose vocabularies, tokenizers or canvases differ), kContextFull, kOutOfMemory.
Result<CompareReport> compare_models(const EngineOptions& a, const EngineOptions& b, const CompareOptions& options);

}  // namespace dgemma
