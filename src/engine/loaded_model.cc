// See loaded_model.h.
#include "engine/loaded_model.h"

#include <utility>

#include "base/format.h"
#include "base/thread_pool.h"
#include "engine/broken_weights.h"
#include "engine/model_source.h"
#include "model/packed_file.h"
#include "model/packing.h"

namespace dgemma::engine {
namespace {

using tensor::DType;

Result<int> thread_count(int asked) {
  if (asked == 0) return base::ThreadPool::default_threads();
  if (asked < 1 || asked > kMostThreads)
    return Unexpected(ErrorCode::kUsage, base::concat("threads: expected 1 to ", kMostThreads, ", got ", asked));
  return asked;
}

Result<std::string> compute_mode(const std::string& asked) {
  if (asked == "auto" || asked.empty()) return std::string("auto");
  for (const char* mode : kComputeNames)
    if (asked == mode) return asked;
  return Unexpected(ErrorCode::kUnsupported, "compute: expected f32, bf16, int8 or auto, got " + base::quoted(asked));
}

}  // namespace

Result<Settings> resolve_settings(const EngineOptions& options) {
  Settings settings;
  DG_TRY_ASSIGN(settings.threads, thread_count(options.threads));
  DG_TRY_ASSIGN(settings.compute, compute_mode(options.compute));
  DG_TRY_ASSIGN(settings.table, kernels::choose(options.kernels));
  return settings;
}

Result<void> resolve_compute(Settings& settings, const formats::Checkpoint& checkpoint) {
  DG_TRY_ASSIGN(const bool packed, model::is_packed_file(checkpoint));
  if (packed && settings.compute == "f32")
    return Unexpected(ErrorCode::kUnsupported,
                      "compute: expected int8, bf16 or auto for a packed file, got f32. Use the file that it "
                      "was made from");
  if (settings.compute == "auto") settings.compute = "int8";
  return {};
}

Result<OpenedModel> open_model(const EngineOptions& options) {
  const base::Stopwatch watch;
  DG_TRY_ASSIGN(Settings settings, resolve_settings(options));
  DG_TRY_ASSIGN(formats::Checkpoint checkpoint, formats::Checkpoint::open(options.model_path));
  DG_TRY(resolve_compute(settings, checkpoint));
  DG_TRY_ASSIGN(model::Config config, read_config(checkpoint));
  return OpenedModel{watch, std::move(checkpoint), std::move(config), settings};
}

Result<LoadedModel> bind_model(OpenedModel opened, const std::function<void(const LoadProgress&)>& progress) {
  auto& [watch, checkpoint, config, settings] = opened;
  const bool pack = settings.compute == "int8";
  DG_TRY_ASSIGN(model::Weights weights,
                model::bind_weights(checkpoint, config, pack ? std::function<void(const LoadProgress&)>() : progress));
  if (pack) {
    auto packed = model::pack_weights(weights, settings.threads, [&](const LoadProgress& done) {
      opened.checkpoint.release_pages();  // what has been packed need not stay in memory beside its packed form
      if (progress) progress(done);
    });
    if (!packed) {
      Error why{packed.error().code, base::concat(checkpoint.path(), ": ", packed.error().message)};
      if (why.code == ErrorCode::kModelFile) return broken_weights(checkpoint, std::move(why));
      return Unexpected(std::move(why));
    }
  }
  if (settings.compute == "bf16") model::multiply_in_bf16(weights);
  const DType cache_type = settings.compute == "f32" ? DType::kF32 : DType::kBF16;
  model::Model model(std::move(config), std::move(weights), cache_type);
  return LoadedModel{std::move(checkpoint), std::move(model), settings, watch.seconds()};
}

Result<LoadedModel> load_model(const EngineOptions& options) {
  DG_TRY_ASSIGN(OpenedModel opened, open_model(options));
  return bind_model(std::move(opened), options.progress);
}

}  // namespace dgemma::engine
