// What is in a model file, and what this machine is: for `dgemma inspect` and `dgemma info`.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "dgemma/result.h"

namespace dgemma {

struct TensorReport {
  std::string name;             ///< as in the file
  std::string dtype;            ///< "BF16", "Q4_K"
  std::vector<uint64_t> shape;  ///< slowest dimension first
  uint64_t bytes = 0;
  std::string role;  ///< "model", "tied copy", "vision", "unknown"
};

/// A value of a model's config; empty: the file does not say, the published default is in force.
using ConfigValue =
    std::variant<std::monostate, int64_t, double, std::string, std::vector<int64_t>, std::vector<std::string>>;

struct FileReport {
  std::string path;
  std::string format;                                       ///< "safetensors" or "gguf"
  std::vector<std::pair<std::string, std::string>> config;  ///< name, value as text; in the order of docs/MODEL.md
  std::vector<std::pair<std::string, ConfigValue>> values;  ///< the same for programs: the JSON's config (docs/CLI.md)
  std::vector<std::pair<std::string, std::string>> metadata;  ///< GGUF keys and values; long ones cut
  std::vector<TensorReport> tensors;
  std::vector<std::string> missing;   ///< tensors that the config asks for
  std::vector<std::string> problems;  ///< why the model would not load; empty: it would
  std::string tokenizer;              ///< one line, "" if none
  std::string chat_template;          ///< where it is and whether it is the Gemma 4 one; "" if none
  std::string template_problem;       ///< why the chat template cannot be read; "" where it can, or where there is none
  bool gemma4_chat = false;           ///< the chat template is the one that render_chat applies
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  uint64_t load_bytes = 0;  ///< memory that loading takes unless EngineOptions::compute asks for f32 or bf16
};

/// Reads headers only. Errors: kNotFound, kIo, kModelFile.
Result<FileReport> inspect_model(const std::string& path);

struct MachineReport {
  std::string cpu;
  int threads = 0;                   ///< default number of threads
  std::string features;              ///< CPU features that matter
  std::vector<std::string> kernels;  ///< tables that run here, best last
  std::vector<std::string> known_kernels;
  std::vector<std::string> compute;  ///< precisions that products can run in, most exact first
  uint64_t memory_bytes = 0;
  uint64_t available_bytes = 0;
  std::string version;
};
MachineReport inspect_machine();

/// A sentence of warning where a loaded model's weights do not fit into the machine's memory, else "": they are mapped,
/// so it runs, at the pace of the disk.
std::string memory_note(uint64_t weight_bytes, uint64_t memory_bytes);

}  // namespace dgemma
