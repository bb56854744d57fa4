// GgufReader: walks a GGUF file once and checks everything that GgufValue and TensorEntry promise. See gguf.h.
#include "formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/format.h"
#include "formats/gguf_types.h"

namespace dgemma::formats {
namespace {

using tensor::DType;
static_assert(std::endian::native == std::endian::little, "scalars are read as they lie in the file");

constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kSwappedMagic = "FUGG";
/// Smallest key (one-letter name, u8) and smallest tensor info (one-letter name, no dimensions): how many of them can
/// stand in the bytes that are left, so that a lying count allocates nothing.
constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastInfoBytes = 8 + 1 + 4 + 4 + 8;
constexpr uint32_t kMaxGgufDimensions = 4;

std::string_view first_bytes(std::span<const std::byte> file, size_t count) {
  return {reinterpret_cast<const char*>(file.data()), std::min(count, file.size())};
}

}  // namespace

bool looks_like_gguf(std::span<const std::byte> file) {
  const std::string_view magic = first_bytes(file, kMagic.size());
  return magic == kMagic || magic == kSwappedMagic;
}

class GgufReader {
 public:
  GgufReader(std::span<const std::byte> file, std::string path) {
    out_.bytes_ = file;
    out_.path_ = std::move(path);
  }
  Result<GgufFile> read();

 private:
  Result<void> read_version();
  Result<void> read_keys(uint64_t count);
  Result<GgufValue> read_value(const std::string& key);
  Result<void> skip_values(GgufType type, uint64_t count, const std::string& what);
  Result<void> index_keys();
  Result<void> read_alignment();
  Result<void> read_tensors(uint64_t count);
  Result<TensorEntry> read_info(uint64_t index);
  Result<void> place_tensors(std::vector<TensorEntry>& entries);

  uint64_t left() const { return out_.bytes_.size() - at_; }
  Unexpected bad(std::string_view what, std::string_view expected, std::string_view got) const {
    return bad_file(out_.path_, what, expected, got);
  }
  Unexpected cut(std::string_view what, uint64_t bytes) const {
    return bad(what, base::concat(bytes, " bytes at offset ", at_),
               base::concat("a file that ends after ", out_.bytes_.size()));
  }
  template <class T>
  Result<T> scalar(std::string_view what) {
    if (left() < sizeof(T)) return cut(what, sizeof(T));
    T value;
    std::memcpy(&value, out_.bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  Result<std::string_view> string(std::string_view what) {
    DG_TRY_ASSIGN(const uint64_t length, scalar<uint64_t>(what));
    if (length > left()) return cut(what, length);
    const std::string_view text(reinterpret_cast<const char*>(out_.bytes_.data()) + at_, length);
    at_ += length;
    return text;
  }
  /// A key or tensor name.
  Result<std::string_view> name(const std::string& what) {
    DG_TRY_ASSIGN(const std::string_view text, string(what));
    if (!is_plain_name(text)) return bad(what, "a name of printable ASCII", base::quoted(text));
    return text;
  }

  GgufFile out_;
  uint64_t at_ = 0;                ///< offset of the next byte to read
  std::vector<uint64_t> offsets_;  ///< of each tensor, from the start of the data
};

Result<GgufFile> GgufReader::read() {
  DG_TRY(read_version());
  DG_TRY_ASSIGN(const uint64_t tensors, scalar<uint64_t>("number of tensors"));
  DG_TRY_ASSIGN(const uint64_t keys, scalar<uint64_t>("number of keys"));
  if (keys > left() / kLeastKeyBytes)
    return bad("number of keys", base::concat("what fits the file's ", out_.bytes_.size(), " bytes"),
               std::to_string(keys));
  DG_TRY(read_keys(keys));
  DG_TRY(index_keys());
  DG_TRY(read_alignment());
  if (tensors > left() / kLeastInfoBytes)
    return bad("number of tensors", base::concat("what fits the ", left(), " bytes after the metadata"),
               std::to_string(tensors));
  DG_TRY(read_tensors(tensors));
  return std::move(out_);
}

Result<void> GgufReader::read_version() {
  const std::string_view magic = first_bytes(out_.bytes_, kMagic.size());
  if (magic == kSwappedMagic) return bad("", "a little-endian GGUF file", "a big-endian one");
  if (magic != kMagic) return bad("", "a GGUF file, which begins with 'GGUF'", base::quoted(magic));
  at_ = kMagic.size();
  DG_TRY_ASSIGN(out_.version_, scalar<uint32_t>("version"));
  if ((out_.version_ & 0xFFFF) == 0 && out_.version_ != 0)
    return bad("", "a little-endian GGUF file", "a big-endian one");
  if (out_.version_ != 2 && out_.version_ != 3) return bad("version", "2 or 3", std::to_string(out_.version_));
  return {};
}

Result<void> GgufReader::read_keys(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    DG_TRY_ASSIGN(const std::string_view key, name(base::concat("name of key ", i)));
    DG_TRY_ASSIGN(const GgufValue value, read_value(std::string(key)));
    out_.keys_.push_back({key, value});
  }
  return {};
}

Result<GgufValue> GgufReader::read_value(const std::string& key) {
  DG_TRY_ASSIGN(uint32_t number, scalar<uint32_t>(key));
  const bool is_array = static_cast<GgufType>(number) == GgufType::kArray;
  uint64_t count = 1;
  if (is_array) {
    DG_TRY_ASSIGN(number, scalar<uint32_t>(key));
    DG_TRY_ASSIGN(count, scalar<uint64_t>(key));
  }
  const auto type = static_cast<GgufType>(number);
  if (is_array && type == GgufType::kArray) return bad(key, "an array of scalars", "an array of arrays");
  if (number > static_cast<uint32_t>(GgufType::kF64) || type == GgufType::kArray)
    return bad(key, "a value type from 0 to 12", std::to_string(number));
  const uint64_t begin = at_;
  DG_TRY(skip_values(type, count, key));
  return GgufValue(type, is_array, count, out_.bytes_.subspan(begin, at_ - begin));
}

Result<void> GgufReader::skip_values(GgufType type, uint64_t count, const std::string& what) {
  if (type == GgufType::kString) {
    for (uint64_t i = 0; i < count; ++i) DG_TRY(string(what));
    return {};
  }
  const uint64_t size = gguf_scalar_bytes(type);
  if (count > left() / size) {
    return bad(what, base::concat(count, " values of ", size, " bytes at offset ", at_),
               base::concat("a file that ends after ", out_.bytes_.size()));
  }
  at_ += count * size;
  return {};
}

Result<void> GgufReader::index_keys() {
  const auto& keys = out_.keys_;
  auto& order = out_.by_name_;
  order.resize(keys.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return keys[a].name < keys[b].name; });
  const auto same = [&](uint32_t a, uint32_t b) { return keys[a].name == keys[b].name; };
  const auto twice = std::adjacent_find(order.begin(), order.end(), same);
  if (twice != order.end()) return bad(base::quoted(keys[*twice].name), "each key once", "two");
  return {};
}

Result<void> GgufReader::read_alignment() {
  DG_TRY_ASSIGN(const auto given, out_.get_optional<int64_t>(kGgufAlignmentKey));
  if (!given) return {};
  if (*given < 1 || *given > INT32_MAX || !std::has_single_bit(static_cast<uint64_t>(*given)))
    return bad(kGgufAlignmentKey, "a power of two", std::to_string(*given));
  out_.alignment_ = static_cast<uint64_t>(*given);
  return {};
}

Result<void> GgufReader::read_tensors(uint64_t count) {
  std::vector<TensorEntry> entries;
  for (uint64_t i = 0; i < count; ++i) {
    DG_TRY_ASSIGN(TensorEntry entry, read_info(i));
    entries.push_back(std::move(entry));
  }
  DG_TRY(place_tensors(entries));
  DG_TRY_ASSIGN(out_.tensors_, TensorTable::make(std::move(entries), out_.path_));
  return {};
}

Result<TensorEntry> GgufReader::read_info(uint64_t index) {
  TensorEntry entry;
  DG_TRY_ASSIGN(entry.name, name(base::concat("name of tensor ", index)));
  DG_TRY_ASSIGN(const uint32_t dimensions, scalar<uint32_t>(entry.name));
  if (dimensions > kMaxGgufDimensions)
    return bad(entry.name, base::concat("at most ", kMaxGgufDimensions, " dimensions"), std::to_string(dimensions));
  entry.shape.resize(dimensions);
  for (uint32_t i = dimensions; i-- > 0;) {  // the file has the fastest first
    DG_TRY_ASSIGN(entry.shape[i], scalar<uint64_t>(entry.name));
  }
  DG_TRY_ASSIGN(const uint32_t number, scalar<uint32_t>(entry.name));
  const auto type = gguf_dtype(number);
  if (!type)
    return bad(
        entry.name,
        "a tensor type of F32, F16, BF16, F64, I8 to I64, Q8_0, Q4_0 to Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS or packed",
        base::concat("type number ", number));
  entry.dtype = *type;
  DG_TRY_ASSIGN(const uint64_t offset, scalar<uint64_t>(entry.name));
  offsets_.push_back(offset);
  return entry;
}

Result<void> GgufReader::place_tensors(std::vector<TensorEntry>& entries) {
  const uint64_t mask = out_.alignment_ - 1;
  const uint64_t data_begin = std::min<uint64_t>((at_ + mask) & ~mask, out_.bytes_.size());
  const auto data = out_.bytes_.subspan(data_begin);
  std::vector<uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  // Empty tensors stand before the tensor that begins at their offset.
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(offsets_[a], entries[a].values()) < std::pair(offsets_[b], entries[b].values());
  });
  uint64_t position = 0;
  for (const uint32_t i : order) {
    TensorEntry& entry = entries[i];
    const uint64_t offset = offsets_[i];
    DG_TRY_ASSIGN(const uint64_t bytes, tensor_bytes(entry.dtype, entry.shape, out_.path_, entry.name));
    if ((offset & mask) != 0)
      return bad(entry.name, base::concat("an offset that is a multiple of ", out_.alignment_), std::to_string(offset));
    if (offset > data.size() || bytes > data.size() - offset)
      return bad(entry.name,
                 base::concat(bytes, " bytes of ", tensor::info(entry.dtype).name, " ", shape_text(entry.shape),
                              " within the file's ", data.size(), " bytes of data"),
                 base::concat("offset ", offset));
    if (offset < position)
      return bad(entry.name, base::concat("an offset from ", position, " on, where the tensor before it ends"),
                 std::to_string(offset));
    entry.data = data.subspan(offset, bytes);
    position = offset + bytes;
  }
  return {};
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), key,
                                   [&](uint32_t i, std::string_view k) { return keys_[i].name < k; });
  return at != by_name_.end() && keys_[*at].name == key ? &keys_[*at].value : nullptr;
}

Result<GgufFile> GgufFile::parse(std::span<const std::byte> file, std::string path) {
  return GgufReader(file, std::move(path)).read();
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  DG_TRY_ASSIGN(base::MappedFile mapping, base::MappedFile::open(path));
  DG_TRY_ASSIGN(GgufFile file, parse(mapping.bytes(), path));
  file.mapping_.emplace(std::move(mapping));
  return file;
}

}  // namespace dgemma::formats
