// Packs a model into a file that loads at once and computes in 8-bit integers: `dgemma quantize`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "dgemma/options.h"
#include "dgemma/result.h"

namespace dgemma {

struct QuantizeOptions {
  std::string model_path = {};   ///< a folder in Hugging Face layout, a .safetensors or a .gguf file
  std::string output_path = {};  ///< the file to write; one that is there is replaced when the new one is whole
  /// 4: every matrix but the table of tokens is rounded to 4 bits; 8: every one to 8; 0: what has 4 bits in the file
  /// keeps them, the rest gets 8.
  int bits = 0;
  int threads = 0;  ///< 1 .. kMostThreads; 0: physical cores that this process may use
  /// Called from time to time; may be empty. Bytes are those of the packed matrices.
  std::function<void(const LoadProgress&)> progress = {};
};

struct QuantizeReport {
  uint64_t source_bytes = 0;
  uint64_t written_bytes = 0;
  double seconds = 0;
};

/// Packs a model: Q4_0 and Q8_0 keep every value where they keep their bits, all else is rounded in groups of 32
/// columns (tensor/packed.h has the bounds). The file holds config, tokenizer and chat template too. Errors: kNotFound
/// (no such model), kIo, kModelFile, kOutOfMemory, kUsage (bits, threads, output that is the model itself, a model that
/// is packed already).
Result<QuantizeReport> quantize_model(const QuantizeOptions& options);

}  // namespace dgemma
