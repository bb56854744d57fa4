// Opening and packing a model with progress for the eye (declared in program.h).
//
// Nothing is shown for the first second: most loads are over by then. On a terminal one line counts bytes and goes
// away; elsewhere one line says once what takes so long.
#include <chrono>

#include "base/format.h"
#include "cli/program.h"
#include "cli/progress_line.h"
#include "dgemma/inspect.h"

namespace dgemma::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(1);
constexpr auto kRefresh = std::chrono::milliseconds(100);

/// Bytes done, all of them and a second, from the first second on.
class ByteProgress {
 public:
  explicit ByteProgress(const char* what) : what_(what) {}
  void update(const LoadProgress& progress) {
    const auto now = Clock::now();
    if (now - start_ < kPatience || (told_ && now - last_ < kRefresh)) return;
    if (told_ && !line_.is_seen()) return;
    last_ = now;
    told_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const auto rate = static_cast<uint64_t>(static_cast<double>(progress.done_bytes) / seconds);
    const std::string text = base::concat(what_, ": ", base::bytes_text(progress.done_bytes), " of ",
                                          base::bytes_text(progress.total_bytes), ", ", base::bytes_text(rate), "/s");
    if (line_.is_seen())
      line_.show(text);
    else
      write_stderr(text + "\n");
  }
  void clear() { line_.clear(); }

 private:
  const char* what_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_;
  bool told_ = false;
  ProgressLine line_;
};

}  // namespace

Error as_model_error(Error error) {
  if (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kIo) error.code = ErrorCode::kModelFile;
  return error;
}

Result<Engine> open_model(EngineOptions options) {
  ByteProgress bytes("loading");
  options.progress = [&bytes](const LoadProgress& progress) { bytes.update(progress); };
  auto engine = Engine::open(options);
  bytes.clear();
  if (!engine) return Unexpected(as_model_error(engine.error()));
  const std::string note = memory_note(engine->info().weight_bytes, inspect_machine().memory_bytes);
  if (!note.empty()) write_stderr(base::concat("note: ", note, "\n"));
  for (const std::string& known : engine->info().notes) write_stderr(base::concat("note: ", known, "\n"));
  if (options.chat && !engine->info().has_chat_template)
    write_stderr("note: the model has no chat template, the Gemma 4 chat format is applied\n");
  return engine;
}

Result<QuantizeReport> pack_model(QuantizeOptions options) {
  ByteProgress bytes("packing");
  options.progress = [&bytes](const LoadProgress& progress) { bytes.update(progress); };
  auto done = quantize_model(options);
  bytes.clear();
  return done;
}

}  // namespace dgemma::cli
