// See safetensors.h.
#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "base/format.h"

namespace dgemma::formats {
namespace {

using nlohmann::json;
using tensor::DType;

std::optional<DType> dtype_of(std::string_view name) {
  constexpr std::pair<std::string_view, DType> kNames[] = {
      {"F32", DType::kF32}, {"F16", DType::kF16}, {"BF16", DType::kBF16}, {"F64", DType::kF64}, {"I8", DType::kI8},
      {"I16", DType::kI16}, {"I32", DType::kI32}, {"I64", DType::kI64},   {"U8", DType::kU8},   {"U16", DType::kU16},
      {"U32", DType::kU32}, {"U64", DType::kU64}, {"BOOL", DType::kBool}};
  for (const auto& [text, type] : kNames)
    if (text == name) return type;
  return std::nullopt;
}

/// Writers put a handful of keys into __metadata__; without a limit a hostile header costs ten times its size here.
constexpr size_t kMaxMetadata = 1u << 16;

/// One tensor as the header says it, before it is compared with the file.
struct Claim {
  TensorEntry entry;
  uint64_t begin = 0, end = 0;
};

/// Reads the header's events. Its grammar has three levels, so the state is where we are, not a stack.
class HeaderReader final : public json::json_sax_t {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool v) override { return unexpected(v ? "true" : "false"); }
  bool number_integer(number_integer_t v) override { return unexpected(std::to_string(v)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(base::quoted(text)); }
  bool binary(binary_t&) override { return false; }
  bool number_unsigned(number_unsigned_t v) override;
  bool string(string_t& v) override;
  bool key(string_t& name) override;
  bool start_object(std::size_t) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    return fault("header", "JSON", base::concat("something else at byte ", position));
  }

  std::vector<Claim> claims;
  std::vector<std::pair<std::string, std::string>> metadata;
  Error error{ErrorCode::kModelFile, {}};

 private:
  enum class At {
    kStart,
    kNames,
    kTensorStart,
    kField,
    kDtype,
    kShape,
    kSizes,
    kOffsetsStart,
    kOffsets,
    kMetadataStart,
    kMetadata,
    kEnd
  };
  enum Seen : unsigned { kHasDtype = 1, kHasShape = 2, kHasOffsets = 4, kHasAll = 7 };

  bool fault(std::string_view what, std::string_view expected, std::string_view got) {
    error = bad_file(path_, what, expected, got).error;
    return false;
  }
  bool unexpected(std::string_view got) { return fault(where(), expected(), got); }
  std::string where() const;
  const char* expected() const;
  bool begin_field(std::string_view name);

  const std::string& path_;
  At at_ = At::kStart;
  std::string key_;    ///< tensor or metadata name
  unsigned seen_ = 0;  ///< fields of the current tensor
  bool has_metadata_ = false;
  Claim claim_;
  size_t offsets_ = 0;
};

std::string HeaderReader::where() const {
  switch (at_) {
    case At::kStart:
    case At::kNames:
    case At::kEnd:
      return "header";
    case At::kMetadataStart:
    case At::kMetadata:
      return "__metadata__";
    case At::kDtype:
      return base::quoted(key_) + ".dtype";
    case At::kShape:
    case At::kSizes:
      return base::quoted(key_) + ".shape";
    case At::kOffsetsStart:
    case At::kOffsets:
      return base::quoted(key_) + ".data_offsets";
    default:
      return base::quoted(key_);
  }
}

const char* HeaderReader::expected() const {
  switch (at_) {
    case At::kStart:
      return "a JSON object";
    case At::kTensorStart:
      return "an object with dtype, shape and data_offsets";
    case At::kDtype:
      return "the name of a type";
    case At::kShape:
    case At::kSizes:
      return "a list of integers from 0 to 2^64 - 1";
    case At::kOffsetsStart:
    case At::kOffsets:
      return "two integers from 0 to 2^64 - 1";
    case At::kMetadataStart:
      return "an object of strings";
    case At::kMetadata:
      return "a string";
    default:
      return "nothing more";
  }
}

bool HeaderReader::number_unsigned(number_unsigned_t v) {
  if (at_ == At::kSizes) {
    if (claim_.entry.shape.size() == kMaxDimensions)
      return fault(where(), base::concat("at most ", kMaxDimensions, " dimensions"), "more");
    claim_.entry.shape.push_back(v);
    return true;
  }
  if (at_ != At::kOffsets || offsets_ == 2) return unexpected(std::to_string(v));
  (offsets_++ == 0 ? claim_.begin : claim_.end) = v;
  return true;
}

bool HeaderReader::string(string_t& v) {
  if (at_ == At::kMetadata) {
    if (metadata.size() == kMaxMetadata) return fault(where(), base::concat("at most ", kMaxMetadata, " keys"), "more");
    metadata.emplace_back(std::move(key_), std::move(v));
    return true;
  }
  if (at_ != At::kDtype) return unexpected(base::quoted(v));
  const auto type = dtype_of(v);
  if (!type) return fault(where(), "F64, F32, F16, BF16, I8 to I64, U8 to U64 or BOOL", base::quoted(v));
  claim_.entry.dtype = *type;
  at_ = At::kField;
  return true;
}

bool HeaderReader::begin_field(std::string_view name) {
  constexpr struct {
    std::string_view name;
    unsigned bit;
    At next;
  } kFields[] = {{"dtype", kHasDtype, At::kDtype},
                 {"shape", kHasShape, At::kShape},
                 {"data_offsets", kHasOffsets, At::kOffsetsStart}};
  for (const auto& field : kFields) {
    if (field.name != name) continue;
    if ((seen_ & field.bit) != 0) return fault(where(), "each field once", base::concat("two of ", name));
    seen_ |= field.bit;
    at_ = field.next;
    return true;
  }
  return fault(where(), "only dtype, shape and data_offsets", base::quoted(name));
}

bool HeaderReader::key(string_t& name) {
  if (at_ == At::kField) return begin_field(name);
  key_ = std::move(name);
  if (at_ == At::kMetadata) return true;
  if (key_ == "__metadata__") {
    at_ = At::kMetadataStart;
    return !std::exchange(has_metadata_, true) || fault("__metadata__", "at most one", "two");
  }
  at_ = At::kTensorStart;
  return is_plain_name(key_) || fault("header", "a tensor name of printable ASCII", base::quoted(key_));
}

bool HeaderReader::start_object(std::size_t) {
  if (at_ == At::kStart) return at_ = At::kNames, true;
  if (at_ == At::kMetadataStart) return at_ = At::kMetadata, true;
  if (at_ != At::kTensorStart) return unexpected("an object");
  claim_ = {};
  seen_ = 0;
  at_ = At::kField;
  return true;
}

bool HeaderReader::end_object() {
  if (at_ == At::kNames) return at_ = At::kEnd, true;
  if (at_ == At::kField) {
    if (seen_ != kHasAll) return fault(where(), "dtype, shape and data_offsets", "not all of them");
    claim_.entry.name = std::move(key_);
    claims.push_back(std::move(claim_));
  }
  at_ = At::kNames;
  return true;
}

bool HeaderReader::start_array(std::size_t) {
  if (at_ == At::kShape) return at_ = At::kSizes, true;
  if (at_ != At::kOffsetsStart) return unexpected("a list");
  offsets_ = 0;
  at_ = At::kOffsets;
  return true;
}

bool HeaderReader::end_array() {
  if (at_ == At::kOffsets && offsets_ != 2) return unexpected(std::to_string(offsets_));
  at_ = At::kField;
  return true;
}

/// The header's JSON text.
Result<std::string_view> find_header(std::span<const std::byte> file, const std::string& path) {
  constexpr size_t kPrefix = 8;
  uint64_t length = 0;
  if (file.size() < kPrefix)
    return bad_file(path, "", "a safetensors file of at least 8 bytes", base::concat(file.size(), " bytes"));
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  if (all.starts_with("version https://git-lfs"))
    return bad_file(path, "", "a safetensors or GGUF file", "a Git LFS pointer to one. Fetch it with git lfs pull");
  std::memcpy(&length, file.data(), kPrefix);
  if (length > kMaxSafetensorsHeader)
    return bad_file(path, "", base::concat("a safetensors header of at most ", kMaxSafetensorsHeader, " bytes"),
                    base::concat(length, "; not a safetensors file?"));
  if (length > file.size() - kPrefix)
    return bad_file(path, "", base::concat("a header of ", length, " bytes"),
                    base::concat("a file that ends after ", file.size() - kPrefix, " of them"));
  const std::string_view header = all.substr(kPrefix, length);
  if (!header.starts_with('{')) return bad_file(path, "header", "a JSON object", base::quoted(header.substr(0, 1)));
  const size_t nul = header.find('\0');
  if (nul != header.npos) return bad_file(path, "header", "JSON", base::concat("a NUL byte at byte ", nul));
  return header;
}

/// Compares what the header claims with each other and with the bytes that are there.
Result<void> place_tensors(std::vector<Claim>& claims, std::span<const std::byte> data, const std::string& path) {
  std::vector<uint32_t> order(claims.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(claims[a].begin, claims[a].end) < std::pair(claims[b].begin, claims[b].end);
  });
  uint64_t position = 0;
  for (const uint32_t i : order) {
    Claim& claim = claims[i];
    const std::string& name = claim.entry.name;
    const std::string offsets = base::concat("[", claim.begin, ", ", claim.end, "]");
    DG_TRY_ASSIGN(const uint64_t bytes, tensor_bytes(claim.entry.dtype, claim.entry.shape, path, name));
    if (claim.end < claim.begin || claim.end - claim.begin != bytes)
      return bad_file(path, name,
                      base::concat("data_offsets of ", bytes, " bytes for ", tensor::info(claim.entry.dtype).name, " ",
                                   shape_text(claim.entry.shape)),
                      offsets);
    if (claim.begin != position)
      return bad_file(path, name, base::concat("data that begins at ", position, ", where the tensor before it ends"),
                      offsets);
    if (claim.end > data.size())
      return bad_file(path, name, base::concat("data within the file's ", data.size(), " bytes"), offsets);
    claim.entry.data = data.subspan(claim.begin, bytes);
    position = claim.end;
  }
  if (position != data.size())
    return bad_file(path, "", base::concat("tensor data of ", position, " bytes, as the header says"),
                    base::concat(data.size(), " bytes"));
  return {};
}

}  // namespace

Result<Safetensors> parse_safetensors(std::span<const std::byte> file, const std::string& path) {
  DG_TRY_ASSIGN(const std::string_view header, find_header(file, path));
  HeaderReader reader(path);
  if (!json::sax_parse(header.begin(), header.end(), &reader)) return Unexpected(std::move(reader.error));
  DG_TRY(place_tensors(reader.claims, file.subspan(8 + header.size()), path));
  std::vector<TensorEntry> entries;
  entries.reserve(reader.claims.size());
  for (Claim& claim : reader.claims) entries.push_back(std::move(claim.entry));
  DG_TRY_ASSIGN(TensorTable table, TensorTable::make(std::move(entries), path));
  return Safetensors{std::move(table), std::move(reader.metadata)};
}

}  // namespace dgemma::formats
