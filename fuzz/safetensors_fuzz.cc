// Fuzzes parse_safetensors: any bytes are read or refused, and what is read keeps the promises of TensorEntry.
//
// The first byte chooses whether the rest is a whole file or only its JSON header, with the right length put before it
// and no data: so the fuzzer need not guess eight bytes before it reaches the header's reader.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "formats/safetensors.h"

namespace {

void check(std::span<const std::byte> file) {
  const auto parsed = dgemma::formats::parse_safetensors(file, "fuzz");
  if (!parsed) return;
  for (const auto& tensor : parsed->tensors.entries()) {
    const auto bytes = dgemma::tensor::storage_bytes(tensor.dtype, tensor.values());
    if (bytes != tensor.data.size() || parsed->tensors.find(tensor.name) != &tensor) std::abort();
    [[maybe_unused]] volatile std::byte touched{};
    if (tensor.data.empty()) continue;
    touched = tensor.data.front();
    touched = tensor.data.back();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto rest = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] % 2 == 0) {
    check(rest);
    return 0;
  }
  const uint64_t length = rest.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file.append(reinterpret_cast<const char*>(rest.data()), rest.size());
  check(std::as_bytes(std::span(file)));
  return 0;
}
