// Fuzzes GgufFile::parse: any bytes are read or refused, and what is read keeps the promises of GgufValue and
// TensorEntry: every getter and every view is tried.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "formats/gguf.h"

namespace {

using dgemma::formats::GgufFile;

template <class... Types>
void get_all(const GgufFile& file, std::string_view key) {
  (static_cast<void>(file.get<Types>(key)), ...);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  for (const auto& key : file->keys()) {
    if (file->find(key.name) != &key.value) std::abort();
    get_all<bool, int64_t, double, std::string_view, std::vector<int64_t>, std::vector<int32_t>, std::vector<double>,
            std::vector<std::string_view>>(*file, key.name);
    (void)key.value.display();
  }
  for (const auto& tensor : file->tensors()) {
    const auto bytes = dgemma::tensor::storage_bytes(tensor.dtype, tensor.values());
    if (bytes != tensor.data.size() || file->find_tensor(tensor.name) != &tensor) std::abort();
    [[maybe_unused]] volatile std::byte touched{};
    if (tensor.data.empty()) continue;
    touched = tensor.data.front();
    touched = tensor.data.back();
  }
  return 0;
}
