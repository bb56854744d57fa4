// TensorEntry and TensorTable: what a model file says about its tensors, in one form for safetensors and GGUF.
//
// The data stays where the file is mapped: an entry is a name, a type, a shape and a view. What an entry promises (the
// readers check it): the shape's product fits 64 bits, `data` lies inside the file and has exactly the bytes that type
// and shape ask for, and no name stands twice. What it does not promise: alignment. Tests: tests/formats/*_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/result.h"
#include "tensor/dtype.h"

namespace dgemma::formats {

struct TensorEntry {
  std::string name;  ///< printable ASCII, as in the file
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<uint64_t> shape;      ///< slowest dimension first, in GGUF too; empty: one value
  std::span<const std::byte> data;  ///< may be misaligned for its type: use memcpy unless aligned()
  uint32_t file = 0;                ///< index into Checkpoint::files()

  /// Product of the shape.
  uint64_t values() const;
  /// True where `data` may be read through a pointer to a type of this alignment (a power of two).
  bool aligned(size_t alignment) const { return reinterpret_cast<uintptr_t>(data.data()) % alignment == 0; }
};

/// "[3, 64]" for messages and lists; "[]" for one value.
std::string shape_text(std::span<const uint64_t> shape);

/// Entries in file order, found by name in O(log n).
class TensorTable {
 public:
  TensorTable() = default;
  /// `path` stands in messages. Errors: kModelFile (a name that stands twice).
  static Result<TensorTable> make(std::vector<TensorEntry> entries, const std::string& path);

  const std::vector<TensorEntry>& entries() const { return entries_; }
  const TensorEntry* find(std::string_view name) const;

 private:
  std::vector<TensorEntry> entries_;
  std::vector<uint32_t> by_name_;  ///< indices of entries_, sorted by name
};

/// Most dimensions that a tensor may have.
inline constexpr size_t kMaxDimensions = 8;

/// Bytes that a tensor of this type and shape takes: the product of the shape must fit 64 bits, the fastest dimension
/// must be whole blocks. Errors: kModelFile with `path` and `name`.
Result<uint64_t> tensor_bytes(tensor::DType dtype, std::span<const uint64_t> shape, const std::string& path,
                              std::string_view name);

/// True for non-empty names of printable ASCII: what can be shown, compared and written to JSON without care.
bool is_plain_name(std::string_view name);

/// kModelFile: "PATH: WHAT: expected EXPECTED, got GOT"; `what` may be empty.
Unexpected bad_file(const std::string& path, std::string_view what, std::string_view expected, std::string_view got);

}  // namespace dgemma::formats
