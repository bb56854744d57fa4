// GGUF: metadata (typed keys) and tensors in one file, little endian, versions 2 and 3.
//
//     "GGUF" u32 version  u64 tensors  u64 keys  keys...  tensor infos...  padding  data
//     key  = string, u32 type, value          string = u64 length, bytes          array = u32 type, u64 count, values
//     info = string, u32 dimensions, u64 size each (fastest first), u32 type, u64 offset from the start of the data
//
// Values stay where the file is mapped and are decoded when asked for, so 262,144 tokens cost nothing until then. Big
// endian files and arrays of arrays are refused. Names no model: what the keys mean is the model room's affair.
// Source: gguf.md of ggml. Tests: tests/formats/gguf_test.cc; fuzz/gguf_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "dgemma/result.h"
#include "formats/tensor_table.h"

namespace dgemma::formats {

/// Types of metadata values, with their numbers in the file.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// One metadata value: a scalar, or an array of scalars of one type. A view of the file.
class GgufValue {
 public:
  /// `raw` holds `count` values of `type`, checked by the reader.
  GgufValue(GgufType type, bool is_array, uint64_t count, std::span<const std::byte> raw)
      : type_(type), is_array_(is_array), count_(count), raw_(raw) {}

  GgufType type() const { return type_; }  ///< of the value, or of the array's elements; never kArray
  bool is_array() const { return is_array_; }
  uint64_t count() const { return count_; }                ///< 1 for scalars
  std::span<const std::byte> raw() const { return raw_; }  ///< as in the file, without type and count

  // A scalar as T; nullopt where it is an array, has another type, or does not fit.
  std::optional<bool> boolean() const;
  std::optional<int64_t> integer() const;  ///< from integers of every width
  std::optional<double> real() const;      ///< from floats and integers
  std::optional<std::string_view> text() const;
  // An array as vector<T>; nullopt where it is a scalar, has another element type, or one does not fit.
  std::optional<std::vector<int64_t>> integers() const;  ///< from integers and booleans (0, 1)
  std::optional<std::vector<double>> reals() const;      ///< from floats and integers
  std::optional<std::vector<std::string_view>> texts() const;

  /// "u32", "string[]": for messages and lists.
  std::string type_name() const;
  /// The value as one printable line of about `limit` bytes at most: `"text"`, `[1, 2, ... (30 values)]`.
  std::string display(size_t limit = 100) const;

 private:
  GgufType type_;
  bool is_array_;
  uint64_t count_;
  std::span<const std::byte> raw_;
};

struct GgufKey {
  std::string_view name;
  GgufValue value;
};

/// An open GGUF file. Movable; views taken from it are valid while it (or what it was moved to) lives.
class GgufFile {
 public:
  /// Maps and reads a file. Errors: kNotFound, kIo, kModelFile.
  static Result<GgufFile> open(const std::string& path);
  /// Reads a file that lies in memory and must outlive the result. `path` stands in messages. Errors: kModelFile.
  static Result<GgufFile> parse(std::span<const std::byte> file, std::string path);

  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  uint64_t file_bytes() const { return bytes_.size(); }
  const std::vector<GgufKey>& keys() const { return keys_; }  ///< file order
  const std::vector<TensorEntry>& tensors() const { return tensors_.entries(); }
  const TensorEntry* find_tensor(std::string_view name) const { return tensors_.find(name); }

  /// As Checkpoint::release_pages.
  void release_pages() const {
    if (mapping_) mapping_->release_pages();
  }

  /// The value under a key, or null.
  const GgufValue* find(std::string_view key) const;

  /// The value under a key as T: bool, int64_t, double, std::string_view, std::vector<int64_t>, std::vector<int32_t>,
  /// std::vector<double> or std::vector<std::string_view>, with the conversions of GgufValue. get: the key must exist.
  /// get_optional: nullopt where it does not. Errors: kModelFile, "PATH: KEY: expected a string, got u32 7".
  template <class T>
  Result<T> get(std::string_view key) const;
  template <class T>
  Result<std::optional<T>> get_optional(std::string_view key) const;

 private:
  friend class GgufReader;
  GgufFile() = default;
  std::optional<base::MappedFile> mapping_;
  std::span<const std::byte> bytes_;
  std::string path_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<GgufKey> keys_;
  std::vector<uint32_t> by_name_;  ///< indices of keys_, sorted by name
  TensorTable tensors_;
};

/// True where the bytes begin like a GGUF file of either endianness.
bool looks_like_gguf(std::span<const std::byte> file);

}  // namespace dgemma::formats
