// Implements dgemma/quantize.h: what to pack is the model room's affair (model/packed_file.h); this brings the texts.
// Test: tests/engine/quantize_test.cc.
#include "dgemma/quantize.h"

#include <algorithm>
#include <filesystem>

#include "base/format.h"
#include "base/stopwatch.h"
#include "engine/loaded_model.h"
#include "engine/model_source.h"
#include "model/packed_file.h"

namespace dgemma {
namespace {

namespace fs = std::filesystem;

/// Files of the model are mapped while it is packed: none of them may be written over.
Result<void> check_output(const formats::Checkpoint& source, const std::string& output) {
  std::error_code ignored;
  if (output.empty()) return Unexpected(ErrorCode::kUsage, "output: expected a file to write, got none");
  if (fs::is_directory(output, ignored))
    return Unexpected(ErrorCode::kUsage, output + ": expected a file to write, got a folder");
  const bool itself = std::any_of(source.files().begin(), source.files().end(),
                                  [&](const std::string& file) { return fs::equivalent(file, output, ignored); });
  if (itself) return Unexpected(ErrorCode::kUsage, output + ": expected another file than the model itself, got it");
  return {};
}

Result<std::optional<tensor::DType>> wanted_type(int bits) {
  if (bits != 0 && bits != 4 && bits != 8)
    return Unexpected(ErrorCode::kUsage, base::concat("bits: expected 4 or 8, got ", bits));
  std::optional<tensor::DType> type;
  if (bits != 0) type = bits == 4 ? tensor::DType::kPacked4 : tensor::DType::kPacked8;
  return type;
}

}  // namespace

Result<QuantizeReport> quantize_model(const QuantizeOptions& options) {
  const base::Stopwatch watch;
  DG_TRY_ASSIGN(const auto type, wanted_type(options.bits));
  EngineOptions machine;
  machine.threads = options.threads;
  DG_TRY_ASSIGN(const engine::Settings settings, engine::resolve_settings(machine));
  DG_TRY_ASSIGN(const formats::Checkpoint source, formats::Checkpoint::open(options.model_path));
  DG_TRY(check_output(source, options.output_path));
  DG_TRY_ASSIGN(const model::Config config, engine::read_config(source));
  std::vector<std::pair<std::string, std::string>> texts;
  if (source.gguf() == nullptr) {
    DG_TRY_ASSIGN(texts, engine::folder_texts(source));
  }
  DG_TRY(
      model::write_packed_file(source, config, texts, options.output_path, type, settings.threads, options.progress));
  std::error_code ignored;
  return QuantizeReport{source.file_bytes(), fs::file_size(options.output_path, ignored), watch.seconds()};
}

}  // namespace dgemma
