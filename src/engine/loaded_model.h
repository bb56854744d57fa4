// LoadedModel: a model ready to compute, without tokenizer and sessions, and the settings that it computes with.
//
// What Engine::open, run_bench and compare_models have in common: options are checked and weights are bound (and
// brought into the form that a precision needs) here and nowhere else. In two steps, so that whatever else a file has
// to hold (a tokenizer) is looked for before minutes go into packing. Test: tests/engine/engine_test.cc.
#pragma once

#include <functional>
#include <string>

#include "base/stopwatch.h"
#include "dgemma/options.h"
#include "dgemma/result.h"
#include "formats/checkpoint.h"
#include "kernels/kernels.h"
#include "model/model.h"

namespace dgemma::engine {

/// EngineOptions with every default and "auto" resolved.
struct Settings {
  int threads = 1;
  const kernels::KernelTable* table = nullptr;
  std::string compute;  ///< "f32", "bf16", "int8" or "auto"
};

/// Errors: kUsage (threads), kUnsupported (kernels, compute). `compute` may stay "auto" until a file is known.
Result<Settings> resolve_settings(const EngineOptions& options);
/// Decides "auto": int8, for every file. Errors: kUnsupported (f32 of a packed file), kModelFile.
Result<void> resolve_compute(Settings& settings, const formats::Checkpoint& checkpoint);

/// A model on disk and how it is to be computed; no weight is bound yet.
struct OpenedModel {
  base::Stopwatch watch;           // since opening it
  formats::Checkpoint checkpoint;  // keeps the file mapped
  model::Config config;
  Settings settings;  // `compute`: f32, bf16 or int8
};
struct LoadedModel {
  formats::Checkpoint checkpoint;  // keeps the file mapped
  model::Model model;
  Settings settings;
  double load_s = 0;  // since its opening began
};

/// Errors: those of resolve_settings, kUnsupported (f32 of a packed file), kNotFound, kIo, kModelFile.
Result<OpenedModel> open_model(const EngineOptions& options);
/// Binds the weights, packs them for int8, marks them for bf16. Errors: as model::bind_weights and model::pack_weights.
Result<LoadedModel> bind_model(OpenedModel opened, const std::function<void(const LoadProgress&)>& progress);
/// Both. Errors: those of Engine::open that do not concern text.
Result<LoadedModel> load_model(const EngineOptions& options);

}  // namespace dgemma::engine
