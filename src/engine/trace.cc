// TraceWriter: events as JSON lines. Implements dgemma/trace.h; the fields are those of docs/MODEL.md, "Trace".
// Test: tests/engine/trace_test.cc.
#include "dgemma/trace.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/file_descriptor.h"
#include "base/format.h"
#include "base/new_file.h"

namespace dgemma {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json list(std::span<const T> values) {
  Json out = Json::array();
  for (const T& v : values) out.push_back(v);
  return out;
}

/// Seven decimals, as the reference's own traces: enough for 1e-3 nats, half the size.
Json rounded(std::span<const float> values) {
  Json out = Json::array();
  for (const float v : values) out.push_back(std::round(double{v} * 1e7) / 1e7);
  return out;
}

base::FileDescriptor duplicate(int fd) { return base::FileDescriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

/// This process's own descriptor of an ordinary file that it was started with, as `--trace /dev/stderr 2>log` and
/// `--trace /dev/fd/3 3>>log` mean it: another file under that name would leave what else goes there in none.
base::FileDescriptor given_descriptor(const struct stat& file) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    struct stat other {};
    if (::fstat(fd, &other) != 0 || other.st_dev != file.st_dev || other.st_ino != file.st_ino) continue;
    if ((::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) return duplicate(fd);
  }
  return {};
}

/// Where lines go: a new file, or what is there already to be written to (a terminal, a pipe, an open file).
class LineFile {
 public:
  static Result<LineFile> open(const std::string& path) {
    LineFile file;
    struct stat there {};
    const bool exists = path != "-" && ::stat(path.c_str(), &there) == 0;
    if (path == "-") file.direct_ = duplicate(STDOUT_FILENO);
    if (exists && S_ISREG(there.st_mode)) file.direct_ = given_descriptor(there);
    if (exists && !S_ISREG(there.st_mode))
      file.direct_ = base::FileDescriptor(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
    if (file.direct_) return file;
    if (path == "-" || (exists && !S_ISREG(there.st_mode)))
      return Unexpected(ErrorCode::kIo, base::concat(path, ": cannot write the trace: ", std::strerror(errno)));
    DG_TRY_ASSIGN(base::NewFile whole, base::NewFile::create(path));
    file.whole_.emplace(std::move(whole));
    return file;
  }
  Result<void> write(std::string_view text) {
    if (whole_) return whole_->write(std::as_bytes(std::span(text)));
    const int error = base::write_all(direct_.get(), text);
    reader_gone_ |= error == EPIPE;
    if (error == 0 || error == EPIPE) return {};  // a reader that has gone wants no more
    return Unexpected(ErrorCode::kIo, std::strerror(error));
  }
  bool reader_gone() const { return reader_gone_; }
  Result<void> finish() { return whole_ ? whole_->commit() : Result<void>(); }

 private:
  std::optional<base::NewFile> whole_;
  base::FileDescriptor direct_;
  bool reader_gone_ = false;
};

}  // namespace

struct TraceWriter::Impl {
  Impl(std::string p, LineFile f) : path(std::move(p)), file(std::move(f)) {}

  std::string path;
  LineFile file;
  std::string failure;
  std::vector<int32_t> eos_ids;
  std::vector<int32_t> tokens;  // committed since the last start, for the end line

  void line(const Json& json) {
    if (!failure.empty()) return;
    if (const auto written = file.write(json.dump() + "\n"); !written) failure = written.error().message;
  }

  void operator()(const Started& e) {
    eos_ids.assign(e.eos_ids.begin(), e.eos_ids.end());
    tokens.clear();
    Json options = {{"max_new_tokens", e.max_new_tokens},
                    {"max_denoising_steps", e.sampler.max_denoising_steps},
                    {"t_min", e.sampler.t_min},
                    {"t_max", e.sampler.t_max},
                    {"stability_threshold", e.sampler.stability_threshold},
                    {"confidence_threshold", e.sampler.confidence_threshold},
                    {"entropy_bound", e.sampler.entropy_bound}};
    line({{"type", "start"},
          {"prompt_ids", list(e.prompt_ids)},
          {"seed", e.seed},
          {"canvas_length", e.canvas_length},
          {"vocab_size", e.vocab_size},
          {"eos_ids", list(e.eos_ids)},
          {"canvas_ids", e.canvas_ids.empty() ? Json(nullptr) : list(e.canvas_ids)},
          {"options", std::move(options)},
          {"engine", "diffusiongemma.cpp " DGEMMA_VERSION}});
  }
  void operator()(const CanvasStarted&) {}  // its first step says what it saw
  void operator()(const CanvasDraft& e) {
    line({{"type", "step"},
          {"canvas", e.canvas},
          {"step", e.step},
          {"temperature", e.temperature},
          {"input", list(e.input)},
          {"best", list(e.best)},
          {"sample", list(e.sample)},
          {"entropy", rounded(e.entropy)},
          {"best_logprob", rounded(e.best_logprob)},
          {"accepted", list(e.accepted)},
          {"mean_entropy", e.mean_entropy},
          {"next", list(e.next)}});
  }
  void operator()(const Committed& e) {
    tokens.insert(tokens.end(), e.tokens.begin(), e.tokens.end());
    // Of the whole canvas, also where max_new_tokens ends inside it and `end` has fewer.
    const auto end = std::ranges::find_first_of(e.canvas_tokens, eos_ids);
    line({{"type", "canvas"},
          {"canvas", e.canvas},
          {"steps", e.steps},
          {"tokens", list(e.canvas_tokens)},
          {"committed", end - e.canvas_tokens.begin()},
          {"reason", e.converged ? "converged" : "max_steps"}});
  }
  void operator()(const Finished& e) {
    line({{"type", "end"},
          {"tokens", tokens},
          {"finish_reason", finish_reason_name(e.reason)},
          {"denoising_steps", e.denoising_steps},
          {"tokens_per_forward", e.tokens_per_forward},
          {"seconds",
           {{"prompt", e.timing.prompt_s},
            {"denoise", e.timing.denoise_s},
            {"commit", e.timing.commit_s},
            {"total", e.timing.total_s}}}});
  }
};

TraceWriter::TraceWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TraceWriter::TraceWriter(TraceWriter&&) noexcept = default;
TraceWriter& TraceWriter::operator=(TraceWriter&&) noexcept = default;
TraceWriter::~TraceWriter() = default;

Result<TraceWriter> TraceWriter::open(const std::string& path) {
  DG_TRY_ASSIGN(LineFile file, LineFile::open(path));
  return TraceWriter(std::make_unique<Impl>(path, std::move(file)));
}

void TraceWriter::on_event(const Event& event) { std::visit(*impl_, event); }

bool TraceWriter::reader_gone() const { return impl_->file.reader_gone(); }

Result<void> TraceWriter::finish() {
  if (impl_->failure.empty()) return impl_->file.finish();
  return Unexpected(ErrorCode::kIo, impl_->path + ": the trace is incomplete: " + impl_->failure +
                                        ". Free space or choose another place");
}

}  // namespace dgemma
