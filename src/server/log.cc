// See log.h.
#include "server/log.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "base/format.h"
#include "dgemma/inspect.h"

namespace dgemma::server {
namespace {

/// RFC 3339 in UTC, milliseconds.
std::string now_text() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char day[32], text[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", day, static_cast<int>(ms));
  return text;
}

/// A value of the text form: bare where it is one word, quoted otherwise.
std::string text_of(const Json& value) {
  if (!value.is_string()) return json_text(value);
  const auto& text = value.get_ref<const std::string&>();
  const bool word = !text.empty() && text.find_first_of(" \"'=\\") == text.npos &&
                    base::quoted(text, text.size()) == "'" + text + "'";
  return word ? text : base::quoted(text, 300);
}

}  // namespace

void Log::event(const std::string& name, const Json& fields) const {
  std::string line;
  if (format_ == LogFormat::kJson) {
    Json json = {{"time", now_text()}, {"event", name}};
    json.update(fields);
    line = json_text(json) + "\n";
  } else {
    line = now_text() + " " + name;
    for (const auto& [field, value] : fields.items()) line += " " + field + "=" + text_of(value);
    line += "\n";
  }
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void log_ready(const Log& log, const ModelInfo& info, uint64_t memory_bytes) {
  log.event("ready", {{"path", info.path},
                      {"weight_bytes", info.weight_bytes},
                      {"threads", info.threads},
                      {"kernels", info.kernels},
                      {"compute", info.compute},
                      {"load_s", info.load_s}});
  if (const std::string note = memory_note(info.weight_bytes, memory_bytes); !note.empty())
    log.event("warning", {{"message", note}});
  for (const std::string& note : info.notes) log.event("warning", {{"message", note}});
  if (!info.no_chat.empty())
    log.event("warning", {{"message", "every chat is refused, text completions are not: " + info.no_chat}});
}

}  // namespace dgemma::server
