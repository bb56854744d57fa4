// Implements dgemma/inspect.h: reports on model files and on this machine, from headers alone.
// Test: tests/engine/engine_test.cc.
#include "dgemma/inspect.h"

#include <fstream>

#include "base/format.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "engine/loaded_model.h"
#include "engine/model_source.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "text/chat.h"

namespace dgemma {
namespace {

std::string tokenizer_line(const Result<std::optional<engine::FoundTokenizer>>& found) {
  if (!found) return "unusable: " + found.error().message;
  if (!*found) return "";
  return base::concat((*found)->path, ": ", (*found)->tokenizer.vocab_size(), " tokens");
}

void report_template(const formats::Checkpoint& checkpoint, FileReport& report) {
  const auto found = engine::find_chat_template(checkpoint);
  if (!found) {
    report.chat_template = "unusable: " + found.error().message;
    report.template_problem = found.error().message;
    report.problems.push_back(report.template_problem);
  }
  if (!found || !*found) return;
  report.gemma4_chat = text::is_gemma4_template((*found)->text);
  report.chat_template =
      (*found)->path + (report.gemma4_chat ? ": the Gemma 4 chat format" : ": not the Gemma 4 chat format");
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
  return "unknown";
}

}  // namespace

Result<FileReport> inspect_model(const std::string& path) {
  DG_TRY_ASSIGN(const formats::Checkpoint checkpoint, formats::Checkpoint::open(path));
  FileReport report;
  report.path = path;
  report.format = checkpoint.gguf() != nullptr ? "gguf" : "safetensors";
  report.file_bytes = checkpoint.file_bytes();
  if (const formats::GgufFile* gguf = checkpoint.gguf())
    for (const formats::GgufKey& key : gguf->keys()) report.metadata.emplace_back(key.name, key.value.display());
  else
    report.metadata = checkpoint.metadata();
  const auto tokenizer = engine::find_tokenizer(checkpoint);
  report.tokenizer = tokenizer_line(tokenizer);
  if (!tokenizer) report.problems.push_back(tokenizer.error().message);
  report_template(checkpoint, report);

  Result<model::Config> config = engine::read_config(checkpoint);
  if (!config) {
    report.problems.push_back(config.error().message);
    for (const formats::TensorEntry& t : checkpoint.tensors())
      report.tensors.push_back({t.name, std::string(tensor::info(t.dtype).name), t.shape, t.data.size(), "unknown"});
    return report;
  }
  model::BindingReport binding = model::examine_weights(checkpoint, *config);
  if (tokenizer) config->eos_ids = engine::end_tokens(*config, *tokenizer);  // as answers end
  report.config = model::describe(*config), report.values = model::config_values(*config);
  report.tensors = std::move(binding.tensors);
  report.missing = std::move(binding.missing);
  report.problems.insert(report.problems.end(), binding.problems.begin(), binding.problems.end());
  if (tokenizer && *tokenizer)
    if (const std::string note = engine::rows_note(*tokenizer, *config); !note.empty()) report.tokenizer = note;
  report.parameters = binding.parameters;
  report.load_bytes = binding.expanded_bytes + binding.packed_bytes;
  return report;
}

MachineReport inspect_machine() {
  MachineReport report;
  report.cpu = cpu_name();
  report.threads = base::ThreadPool::default_threads();
  report.features = kernels::cpu_features();
  for (const kernels::KernelTable* table : kernels::available()) report.kernels.emplace_back(table->name);
  for (const char* name : kernels::known()) report.known_kernels.emplace_back(name);
  report.compute.assign(kComputeNames.begin(), kComputeNames.end());
  report.memory_bytes = base::total_memory_bytes();
  report.available_bytes = base::available_memory_bytes();
  report.version = DGEMMA_VERSION;
  return report;
}

std::string memory_note(uint64_t weight_bytes, uint64_t memory_bytes) {
  if (weight_bytes <= memory_bytes) return "";
  return base::concat("the weights take ", base::bytes_text(weight_bytes), ", this machine has ",
                      base::bytes_text(memory_bytes),
                      " of memory: every step reads the rest from the disk again. dgemma quantize --bits 4 writes a "
                      "smaller file");
}

}  // namespace dgemma
