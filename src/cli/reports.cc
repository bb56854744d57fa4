// See reports.h.
#include "cli/reports.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <sstream>

#include "base/format.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

/// "name      value" with values in one column.
std::string aligned(const std::string& name, const std::string& value, size_t width) {
  return "  " + name + std::string(width > name.size() ? width - name.size() : 0, ' ') + "  " + value + "\n";
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string section(const char* title, const Pairs& pairs) {
  if (pairs.empty()) return "";
  constexpr size_t kWidest = 64;  // longer names push their own value only
  size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, std::min(name.size(), kWidest));
  std::string text = std::string("\n") + title + "\n";
  for (const auto& [name, value] : pairs) text += aligned(name, value, width);
  return text;
}

std::string section(const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string text = std::string("\n") + title + "\n";
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text = "[";
  for (const uint64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

struct TypeTotal {
  size_t tensors = 0;
  uint64_t bytes = 0;
};

/// One line a type: how many tensors, how many bytes.
Pairs type_totals(const std::vector<TensorReport>& tensors) {
  std::map<std::string, TypeTotal> totals;
  for (const TensorReport& tensor : tensors) {
    TypeTotal& total = totals[tensor.role == "model" ? tensor.dtype : tensor.dtype + " (" + tensor.role + ")"];
    total.tensors += 1;
    total.bytes += tensor.bytes;
  }
  Pairs pairs;
  for (const auto& [name, total] : totals)
    pairs.emplace_back(name, counted(static_cast<long long>(total.tensors), "tensor", "tensors") + ", " +
                                 base::bytes_text(total.bytes));
  return pairs;
}

Pairs tensor_lines(const std::vector<TensorReport>& tensors) {
  Pairs pairs;
  for (const TensorReport& tensor : tensors) {
    std::string value = tensor.dtype + " " + shape_text(tensor.shape) + "  " + base::bytes_text(tensor.bytes);
    if (tensor.role != "model") value += "  (" + tensor.role + ")";
    pairs.emplace_back(tensor.name, std::move(value));
  }
  return pairs;
}

Json pairs_json(const Pairs& pairs) {
  Json json = Json::object();
  for (const auto& [name, value] : pairs) json[name] = value;
  return json;
}

struct ValueJson {
  Json operator()(std::monostate) const { return nullptr; }
  template <class T>
  Json operator()(const T& value) const {
    return value;
  }
};

Json config_json(const FileReport& file) {
  Json json = Json::object();
  for (const auto& [name, value] : file.values) json[name] = std::visit(ValueJson{}, value);
  return json;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

std::string parameters_text(uint64_t parameters) {
  const auto value = static_cast<double>(parameters);
  if (value >= 1e9) return number_text(value / 1e9, "%.2f billion");
  if (value >= 1e6) return number_text(value / 1e6, "%.2f million");
  return std::to_string(parameters);
}

/// Parts joined by dots, in lines of at most `width` cells that end between two parts.
std::string parts_text(const std::vector<std::string>& parts, int width) {
  std::string text;
  int used = 0;
  for (const std::string& part : parts) {
    const int more = text_width(part);
    const bool fits = used + 3 + more <= width;
    if (!text.empty()) text += fits ? " · " : "\n";
    used = text.empty() || !fits ? more : used + 3 + more;
    text += part;
  }
  return text;
}

}  // namespace

std::string number_text(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string counted(long long number, const char* one, const char* many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

std::string seconds_text(double seconds) {
  if (seconds < 1e-3) return number_text(seconds * 1e6, "%.0f us");
  if (seconds < 1e-2) return number_text(seconds * 1e3, "%.1f ms");
  if (seconds < 1) return number_text(seconds * 1e3, "%.0f ms");
  return number_text(seconds, seconds < 100 ? "%.2f s" : "%.0f s");
}

Json file_json(const FileReport& file) {
  Json tensors = Json::array();
  for (const TensorReport& tensor : file.tensors)
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes},
                       {"role", tensor.role}});
  return {{"path", file.path},
          {"format", file.format},
          {"parameters", file.parameters},
          {"file_bytes", file.file_bytes},
          {"load_bytes", file.load_bytes},
          {"config", config_json(file)},
          {"metadata", pairs_json(file.metadata)},
          {"tokenizer", file.tokenizer},
          {"chat_template", file.chat_template},
          {"missing", file.missing},
          {"problems", file.problems},
          {"tensors", std::move(tensors)}};
}

std::string file_text(const FileReport& file) {
  const auto or_none = [](const std::string& text) { return text.empty() ? "none" : text; };
  std::string text = file.path + "\n";
  text += section("File", Pairs{{"format", file.format},
                                {"size", base::bytes_text(file.file_bytes)},
                                {"parameters", parameters_text(file.parameters)},
                                {"memory to load", base::bytes_text(file.load_bytes)},
                                {"tokenizer", or_none(file.tokenizer)},
                                {"chat template", or_none(file.chat_template)}});
  text += section("Config", file.config);
  text += section("Metadata", file.metadata);
  text += section("Types", type_totals(file.tensors));
  text += section("Tensors", tensor_lines(file.tensors));
  text += section("Missing tensors", file.missing);
  text += section("Why it cannot be loaded", file.problems);
  return text;
}

Json machine_json(const MachineReport& machine) {
  return {{"version", machine.version},
          {"cpu", machine.cpu},
          {"threads", machine.threads},
          {"features", words(machine.features)},
          {"kernels", machine.kernels},
          {"known_kernels", machine.known_kernels},
          {"compute", machine.compute},
          {"memory_bytes", machine.memory_bytes},
          {"available_bytes", machine.available_bytes}};
}

std::string machine_text(const MachineReport& machine) {
  std::string kernels, others;
  for (const std::string& name : machine.known_kernels) {
    const bool runs = std::find(machine.kernels.begin(), machine.kernels.end(), name) != machine.kernels.end();
    std::string& list = runs ? kernels : others;
    list += (list.empty() ? "" : ", ") + name;
  }
  if (!machine.kernels.empty()) kernels += "; default " + machine.kernels.back();
  std::string text = "dgemma " + machine.version + "\n";
  return text + section("Machine", Pairs{{"cpu", machine.cpu},
                                         {"cores", std::to_string(machine.threads) + " (the default of --threads)"},
                                         {"features", machine.features},
                                         {"kernels", kernels},
                                         {"not here", others.empty() ? "none" : others},
                                         {"memory", base::bytes_text(machine.memory_bytes) + ", " +
                                                        base::bytes_text(machine.available_bytes) + " available"}});
}

Json answer_json(const Answer& answer, std::string_view content, std::string_view reasoning, double load_s) {
  const Finished& summary = answer.summary;
  const Timing& timing = summary.timing;
  const double steps = std::max(1, summary.denoising_steps);
  Json json = {{"text", content}, {"tokens", answer.tokens}};
  if (!reasoning.empty()) json["reasoning"] = reasoning;
  json["finish_reason"] = finish_reason_name(summary.reason);
  json["seed"] = answer.seed;
  json["usage"] = {{"prompt_tokens", summary.prompt_tokens},          {"cached_tokens", summary.cached_tokens},
                   {"completion_tokens", summary.completion_tokens},  {"canvases", summary.steps_per_canvas.size()},
                   {"denoising_steps", summary.denoising_steps},      {"steps_per_canvas", summary.steps_per_canvas},
                   {"tokens_per_forward", summary.tokens_per_forward}};
  json["timing"] = {{"load_s", load_s},
                    {"prompt_s", timing.prompt_s},
                    {"step_s", timing.denoise_s / steps},
                    {"denoise_s", timing.denoise_s},
                    {"commit_s", timing.commit_s},
                    {"answer_s", timing.total_s},
                    {"total_s", load_s + timing.total_s}};
  return json;
}

std::string answer_summary(const Answer& answer, int width) {
  const Finished& summary = answer.summary;
  const auto canvases = static_cast<long long>(summary.steps_per_canvas.size());
  const double steps = summary.denoising_steps;
  const double work = summary.timing.denoise_s + summary.timing.commit_s;
  std::vector<std::string> parts;
  if (summary.completion_tokens > 0) parts.push_back(counted(summary.completion_tokens, "token", "tokens"));
  if (canvases > 0) {
    parts.push_back(counted(canvases, "canvas", "canvases"));
    parts.push_back(number_text(steps / static_cast<double>(canvases), "%.1f steps per canvas"));
  }
  if (summary.tokens_per_forward > 0)
    parts.push_back(number_text(summary.tokens_per_forward, "%.1f tokens per forward"));
  if (work > 0 && summary.completion_tokens > 0)
    parts.push_back(number_text(summary.completion_tokens / work, "%.0f tokens/s"));
  std::string prompt = "prompt " + counted(summary.prompt_tokens, "token", "tokens");
  if (summary.cached_tokens > 0) prompt += base::concat(" (", summary.cached_tokens, " cached)");
  if (summary.timing.prompt_s > 0) prompt += " " + seconds_text(summary.timing.prompt_s);
  parts.push_back(prompt);
  if (steps > 0) parts.push_back("step " + seconds_text(summary.timing.denoise_s / steps));
  parts.push_back(base::concat("seed ", answer.seed));
  parts.emplace_back(finish_reason_name(summary.reason));
  return parts_text(parts, width);
}

}  // namespace dgemma::cli
