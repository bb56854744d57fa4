// See metrics.h.
#include "server/metrics.h"

#include <charconv>
#include <sstream>
#include <type_traits>

#include "server/openai_sink.h"

namespace dgemma::server {
namespace {

class Page {
 public:
  void head(const char* name, const char* type, const char* help) {
    name_ = name;
    out_ << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
  }
  template <class Value>
  void value(const Value& value, const std::string& labels = "", const char* suffix = "") {
    out_ << name_ << suffix << labels << ' ';
    if constexpr (std::is_floating_point_v<Value>)
      real(value);
    else
      out_ << value;
    out_ << '\n';
  }
  template <class Value>
  void single(const char* name, const char* type, const char* help, const Value& number) {
    head(name, type, help);
    value(number);
  }
  std::string take() const { return out_.str(); }

 private:
  /// In full: in six digits a counter of many seconds stands still between two scrapes.
  void real(double value) {
    char text[32];
    out_.write(text, std::to_chars(text, text + sizeof text, value).ptr - text);
  }

  std::ostringstream out_;
  const char* name_ = "";
};

std::string label(const std::string& name, const std::string& value) { return "{" + name + "=\"" + value + "\"}"; }

}  // namespace

void Metrics::request(const std::string& endpoint, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{endpoint, status}];
}

void Metrics::answer(const AnswerEnd& end) {
  const std::lock_guard lock(mutex_);
  const AnswerUsage& usage = end.usage;
  ++answers_[openai_finish_reason(end.reason)];
  prompt_tokens_ += static_cast<uint64_t>(usage.prompt_tokens);
  cached_tokens_ += static_cast<uint64_t>(usage.cached_tokens);
  ++(usage.cached_tokens > 0 ? cache_hits_ : cache_misses_);
  committed_tokens_ += static_cast<uint64_t>(usage.completion_tokens);
  steps_ += static_cast<uint64_t>(usage.denoising_steps);
  canvases_ += usage.steps_per_canvas.size();
  for (const int steps : usage.steps_per_canvas)
    for (size_t i = 0; i < kStepBounds.size(); ++i) canvases_within_[i] += steps <= kStepBounds[i] ? 1 : 0;
  queue_s_ += usage.queue_s;
  time_.prompt_s += usage.timing.prompt_s;
  time_.denoise_s += usage.timing.denoise_s;
  time_.commit_s += usage.timing.commit_s;
}

void Metrics::failure(const std::string& code) {
  const std::lock_guard lock(mutex_);
  ++answers_[code];
}

std::string Metrics::text(const Gauges& now) const {
  const std::lock_guard lock(mutex_);
  Page page;
  page.single("dgemma_ready", "gauge", "1 when the model is loaded and the service is not stopping", now.ready ? 1 : 0);
  page.head("dgemma_requests_total", "counter", "Responses by endpoint and HTTP status (499: the client left)");
  for (const auto& [key, count] : requests_)
    page.value(count, "{endpoint=\"" + key.first + "\",status=\"" + std::to_string(key.second) + "\"}");
  page.head("dgemma_answers_total", "counter", "Answers by outcome: a finish reason, or the error's code");
  for (const auto& [outcome, count] : answers_) page.value(count, label("outcome", outcome));
  page.single("dgemma_queue_waiting", "gauge", "Requests that wait for a place", now.waiting);
  page.single("dgemma_sessions_active", "gauge", "Answers that are being made", now.active);
  page.single("dgemma_sessions_idle", "gauge", "Conversations whose cache is kept", now.idle_sessions);
  page.single("dgemma_prompt_tokens_total", "counter", "Tokens of prompts", prompt_tokens_);
  page.single("dgemma_prompt_cached_tokens_total", "counter", "Tokens of prompts found in the cache", cached_tokens_);
  page.single("dgemma_cache_hits_total", "counter", "Answers that found some of their prompt in the cache",
              cache_hits_);
  page.single("dgemma_cache_misses_total", "counter", "Answers that found none of it", cache_misses_);
  page.single("dgemma_committed_tokens_total", "counter", "Tokens of answers", committed_tokens_);
  page.head("dgemma_steps_per_canvas", "histogram", "Denoising steps that canvases took");
  for (size_t i = 0; i < kStepBounds.size(); ++i)
    page.value(canvases_within_[i], label("le", std::to_string(kStepBounds[i])), "_bucket");
  page.value(canvases_, label("le", "+Inf"), "_bucket");
  page.value(steps_, "", "_sum");
  page.value(canvases_, "", "_count");
  page.head("dgemma_phase_seconds_total", "counter",
            "Seconds of finished answers by phase; queue is waiting for a place");
  page.value(queue_s_, label("phase", "queue"));
  page.value(time_.prompt_s, label("phase", "prompt"));
  page.value(time_.denoise_s, label("phase", "denoise"));
  page.value(time_.commit_s, label("phase", "commit"));
  page.head("dgemma_memory_bytes", "gauge", "Memory by what it is for; resident is the whole process");
  page.value(now.weight_bytes, label("kind", "weights"));
  page.value(now.cache_bytes, label("kind", "idle_caches"));
  page.value(now.resident_bytes, label("kind", "resident"));
  return page.take();
}

}  // namespace dgemma::server
