// Safetensors: one file = 8 bytes header length (little endian), a JSON header, then the tensors' bytes.
//
//     {"__metadata__": {"format": "pt"}, "NAME": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, ...}
//
// Offsets count from the end of the header. As in the reference library the tensors must cover the rest of the file
// without holes or overlaps. The header is streamed, never held as a tree, so a hostile one costs a small multiple of
// its own bytes. Not here: several files with an index (checkpoint.h). Source: the safetensors format description
// (huggingface/safetensors, README "Format"). Tests: tests/formats/safetensors_test.cc; fuzz/safetensors_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dgemma/result.h"
#include "formats/tensor_table.h"

namespace dgemma::formats {

struct Safetensors {
  TensorTable tensors;
  std::vector<std::pair<std::string, std::string>> metadata;  ///< __metadata__, in file order
};

/// Longest header that the reference library takes.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

/// Reads a file that lies in memory; the entries view `file`. `path` stands in messages. Errors: kModelFile.
Result<Safetensors> parse_safetensors(std::span<const std::byte> file, const std::string& path);

}  // namespace dgemma::formats
