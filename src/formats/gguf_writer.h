// GgufWriter: a GGUF file, version 3, from keys and tensors, written in one pass.
//
// Names and sizes are declared first, then the header goes out, then each tensor's bytes in the same order: nothing is
// held in memory but the header. Layout: gguf.h. Test: tests/formats/gguf_writer_test.cc, which reads back what it
// wrote.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/new_file.h"
#include "formats/gguf.h"

namespace dgemma::formats {

/// Where tensors begin: a cache line, which mapped weights are read by.
inline constexpr uint32_t kWrittenAlignment = 64;

class GgufWriter {
 public:
  void add(std::string_view key, uint32_t value);
  void add(std::string_view key, std::string_view text);
  /// A key as another file has it. general.alignment is this writer's own and left out.
  void copy(const GgufKey& key);
  /// Declares a tensor; shape: slowest dimension first.
  void add_tensor(std::string_view name, tensor::DType dtype, std::span<const uint64_t> shape, uint64_t bytes);

  /// Writes the header. Then write_tensor for each declared tensor, in order.
  Result<void> write_header(base::NewFile& file);
  Result<void> write_tensor(base::NewFile& file, std::span<const std::byte> data);

 private:
  std::string keys_, infos_;
  uint64_t key_count_ = 0, next_offset_ = 0;
  std::vector<uint64_t> tensors_;  // bytes
  size_t written_ = 0;
};

}  // namespace dgemma::formats
