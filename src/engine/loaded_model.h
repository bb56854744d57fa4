// LoadedModel: a model ready to compute, without tokenizer and sessions, and the settings that it computes with.
//
// What Engine::open, run_bench and compare_models have in common: options are checked and weights are bound (and
// brought into the form that a precision needs) here and nowhere else. Test: tests/engine/engine_test.cc.
#pragma once

#include <functional>
#include <span>
#include <string>

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

/// What --compute can be besides auto, most exact first.
std::span<const char* const> compute_modes();

/// Errors: kUsage (threads), kUnsupported (kernels, compute). `compute` may stay "auto" until a file is known.
Result<Settings> resolve_settings(const EngineOptions& options);
/// Decides "auto" for a file: int8 where it is packed, else f32. Errors: kUnsupported (f32 of a packed file),
/// kModelFile.
Result<void> resolve_compute(Settings& settings, const formats::Checkpoint& checkpoint);

/// Binds the weights, packs them for int8, marks them for bf16. The checkpoint must stay open while the model is used.
/// Errors: as model::bind_weights and model::pack_weights.
Result<model::Model> bind_model(const formats::Checkpoint& checkpoint, model::Config config, const Settings& settings,
                                const std::function<void(const LoadProgress&)>& progress);

struct LoadedModel {
  formats::Checkpoint checkpoint;  // keeps the file mapped
  model::Model model;
  Settings settings;
  double load_s = 0;
};

/// Errors: those of Engine::open that do not concern text.
Result<LoadedModel> load_model(const EngineOptions& options);

}  // namespace dgemma::engine
