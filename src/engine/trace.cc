// TraceWriter: events as JSON lines. Implements dgemma/trace.h; the fields are those of docs/MODEL.md, "Trace".
// Test: tests/engine/trace_test.cc.
#include "dgemma/trace.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "base/format.h"

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

}  // namespace

struct TraceWriter::Impl {
  Impl(std::string p, std::FILE* f) : path(std::move(p)), file(f) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (file != nullptr && file != stdout) std::fclose(file);
  }

  std::string path;
  std::FILE* file;
  std::string failure;
  std::vector<int32_t> eos_ids;
  std::vector<int32_t> tokens;  // committed so far, for the end line

  void fail() {
    if (failure.empty()) failure = std::strerror(errno);
  }
  void line(const Json& json) {
    if (!failure.empty()) return;
    const std::string text = json.dump() + "\n";
    if (std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fflush(file) != 0) fail();
  }

  void operator()(const Started& e) {
    eos_ids.assign(e.eos_ids.begin(), e.eos_ids.end());
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
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  if (file == nullptr)
    return Unexpected(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                      base::concat(path, ": cannot write the trace: ", std::strerror(errno)));
  return TraceWriter(std::make_unique<Impl>(path, file));
}

void TraceWriter::on_event(const Event& event) { std::visit(*impl_, event); }

Result<void> TraceWriter::finish() {
  if (impl_->file != stdout && impl_->file != nullptr) {
    if (std::fclose(impl_->file) != 0) impl_->fail();
    impl_->file = nullptr;
  }
  if (impl_->failure.empty()) return {};
  return Unexpected(ErrorCode::kIo, impl_->path + ": the trace is incomplete: " + impl_->failure +
                                        ". Free space or choose another place");
}

}  // namespace dgemma
