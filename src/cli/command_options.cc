// See command_options.h.
#include "cli/command_options.h"

#include <algorithm>

#include "base/format.h"
#include "cli/numbers.h"

namespace dgemma::cli {
namespace {

bool is_compute(const std::string& name) {
  return name == "auto" || std::find(kComputeNames.begin(), kComputeNames.end(), name) != kComputeNames.end();
}

/// Names separated by commas, none twice, none empty.
bool read_names(const std::string& text, std::vector<std::string>& names) {
  names.clear();
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(',', first), text.size());
    const std::string name = text.substr(first, end - first);
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) return false;
    names.push_back(name);
    first = end + 1;
  }
  return true;
}

/// Seed: uint64_t, or an optional one.
template <class Seed>
void add_any_seed(OptionTable& table, const std::string& help, Seed& seed) {
  table.value("-s,--seed", "N", help, "a whole number from 0 to 18446744073709551615",
              [&seed](const std::string& text) {
                const auto given = parse_unsigned(text);
                if (given) seed = *given;
                return given.has_value();
              });
}

}  // namespace

void add_model(OptionTable& table, std::string& path) {
  table.heading("Model");
  table.path("-m,--model", "PATH",
             "A folder in Hugging Face layout, a .safetensors file or a .gguf file; default: $DGEMMA_MODEL", path);
}

void add_threads(OptionTable& table, int& threads) {
  table.heading("Machine");
  table.whole("-t,--threads", "Number of threads; default: the physical cores that this process may use", 1,
              kMostThreads, threads);
}

void add_machine(OptionTable& table, EngineOptions& engine) {
  add_threads(table, engine.threads);
  table.text("--kernels", "NAME",
             "Instruction set: scalar, avx2, avx512, amx, ...; default: the best of this machine (see dgemma info)",
             engine.kernels);
  table.value("--compute", "NAME",
              "Arithmetic of products with weights: f32 (the reference's, to compare with), bf16 or int8; default: "
              "auto, which is int8",
              "f32, bf16, int8 or auto", [&engine](const std::string& name) {
                engine.compute = name;
                return is_compute(name);
              });
}

void add_settings(OptionTable& table, SettingLists& settings, const std::string& what, size_t most) {
  const std::string number = most == 2 ? "one name, for both sides, or two different ones" : "different names";
  table.value("--kernels", "NAMES",
              "Instruction sets" + what + ": scalar, avx2, avx512, amx, ...; default: the best of this machine",
              number + ", separated by commas", [&settings, most](const std::string& text) {
                return read_names(text, settings.kernels) && settings.kernels.size() <= most;
              });
  table.value("--compute", "NAMES", "Arithmetic" + what + ": f32, bf16, int8 or auto (int8)",
              number + " of f32, bf16, int8 and auto, separated by commas", [&settings, most](const std::string& text) {
                return read_names(text, settings.compute) && settings.compute.size() <= most &&
                       (text == "all" || std::all_of(settings.compute.begin(), settings.compute.end(), is_compute));
              });
}

void add_context(OptionTable& table, SessionOptions& session) {
  table.whole("-c,--context",
              "Tokens that the KV cache may hold; default: what the request needs, at most what the model has", 1,
              kMost, session.context);
}

void add_sampler(OptionTable& table, SamplerOptions& sampler) {
  table.heading("Sampler (default: the checkpoint's values, then the published ones)");
  table.whole("--max-denoising-steps", "Most steps for one canvas (published: 48)", 1, kMostSteps,
              sampler.max_denoising_steps);
  table.real("--t-min", "X", "Temperature that it falls towards, evenly over the steps (0.4)", 0, false, sampler.t_min);
  table.real("--t-max", "X", "Temperature of the first step (0.8)", kLeastTemperature, false, sampler.t_max);
  table.real("--entropy-bound", "NATS", "Accept a step's surest rows until their entropies sum to this (0.1)", 0, false,
             sampler.entropy_bound);
  table.whole("--stability-threshold", "Steps without a change before a canvas may end (1)", 0, kMostSteps,
              sampler.stability_threshold);
  table.real("--confidence-threshold", "NATS", "Mean entropy of the rows below which a canvas may end (0.005)", 0,
             false, sampler.confidence_threshold);
}

void add_seed(OptionTable& table, const std::string& help, uint64_t& seed) { add_any_seed(table, help, seed); }
void add_seed(OptionTable& table, const std::string& help, std::optional<uint64_t>& seed) {
  add_any_seed(table, help, seed);
}

void add_json(OptionTable& table, bool& json) {
  table.heading("Output");
  table.flag("--json", "Print one JSON object, for programs", json);
}

Result<void> need_model(std::string& path, const Environment& environment) {
  if (path.empty()) path = environment.model;
  if (!path.empty()) return {};
  return Unexpected(ErrorCode::kUsage,
                    "--model: expected a model, got none. Give -m PATH or set the environment variable DGEMMA_MODEL");
}

Unexpected conflict(const std::string& where, const std::string& expected, const std::string& got) {
  return {ErrorCode::kUsage, base::concat(where, ": expected ", expected, ", got ", got)};
}

}  // namespace dgemma::cli
