// See loaded_model.h.
#include "engine/loaded_model.h"

#include <chrono>

#include "base/format.h"
#include "base/thread_pool.h"
#include "engine/model_source.h"

namespace dgemma::engine {
namespace {

constexpr int kMostThreads = 1024;
constexpr const char* kComputeModes[] = {"f32"};

Result<int> thread_count(int asked) {
  if (asked == 0) return base::ThreadPool::default_threads();
  if (asked < 1 || asked > kMostThreads)
    return Unexpected(ErrorCode::kUsage, base::concat("threads: expected 1 to ", kMostThreads, ", got ", asked));
  return asked;
}

Result<std::string> compute_mode(const std::string& asked) {
  if (asked == "f32" || asked == "auto" || asked.empty()) return std::string("f32");
  return Unexpected(ErrorCode::kUnsupported, "compute: expected f32 or auto, got " + base::quoted(asked));
}

}  // namespace

std::span<const char* const> compute_modes() { return kComputeModes; }

Result<Settings> resolve_settings(const EngineOptions& options) {
  Settings settings;
  DG_TRY_ASSIGN(settings.threads, thread_count(options.threads));
  DG_TRY_ASSIGN(settings.compute, compute_mode(options.compute));
  DG_TRY_ASSIGN(settings.table, kernels::choose(options.kernels));
  return settings;
}

Result<model::Model> bind_model(const formats::Checkpoint& checkpoint, model::Config config, const Settings&,
                                const std::function<void(const LoadProgress&)>& progress) {
  DG_TRY_ASSIGN(model::Weights weights, model::bind_weights(checkpoint, config, progress));
  return model::Model(std::move(config), std::move(weights));
}

Result<LoadedModel> load_model(const EngineOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  DG_TRY_ASSIGN(const Settings settings, resolve_settings(options));
  DG_TRY_ASSIGN(formats::Checkpoint checkpoint, formats::Checkpoint::open(options.model_path));
  DG_TRY_ASSIGN(model::Config config, read_config(checkpoint));
  DG_TRY_ASSIGN(model::Model model, bind_model(checkpoint, std::move(config), settings, options.progress));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return LoadedModel{std::move(checkpoint), std::move(model), settings, seconds};
}

}  // namespace dgemma::engine
