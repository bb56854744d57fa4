// GgufValue and the typed getters of GgufFile: from bytes that the reader has checked to C++ types. See gguf.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "formats/gguf.h"
#include "formats/gguf_types.h"

namespace dgemma::formats {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::optional<int64_t> integer_at(GgufType type, const std::byte* at) {
  switch (type) {
    case GgufType::kU8:
      return load<uint8_t>(at);
    case GgufType::kI8:
      return load<int8_t>(at);
    case GgufType::kU16:
      return load<uint16_t>(at);
    case GgufType::kI16:
      return load<int16_t>(at);
    case GgufType::kU32:
      return load<uint32_t>(at);
    case GgufType::kI32:
      return load<int32_t>(at);
    case GgufType::kI64:
      return load<int64_t>(at);
    case GgufType::kU64: {
      const auto value = load<uint64_t>(at);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> real_at(GgufType type, const std::byte* at) {
  if (type == GgufType::kF32) return load<float>(at);
  if (type == GgufType::kF64) return load<double>(at);
  if (type == GgufType::kU64) return static_cast<double>(load<uint64_t>(at));
  if (const auto whole = integer_at(type, at)) return static_cast<double>(*whole);
  return std::nullopt;
}

std::string_view string_at(const std::byte* at) {
  return {reinterpret_cast<const char*>(at) + sizeof(uint64_t), static_cast<size_t>(load<uint64_t>(at))};
}

/// One element as text; the reader has seen that it is whole.
std::string element_text(GgufType type, const std::byte* at, size_t limit) {
  if (type == GgufType::kString) return base::quoted(string_at(at), limit);
  if (type == GgufType::kBool) return load<uint8_t>(at) != 0 ? "true" : "false";
  if (type == GgufType::kU64) return std::to_string(load<uint64_t>(at));
  if (const auto whole = integer_at(type, at)) return std::to_string(*whole);
  return base::concat(real_at(type, at).value_or(0));
}

size_t element_bytes(GgufType type, const std::byte* at) {
  return type == GgufType::kString ? sizeof(uint64_t) + string_at(at).size() : gguf_scalar_bytes(type);
}

}  // namespace

std::optional<bool> GgufValue::boolean() const {
  if (is_array_ || type_ != GgufType::kBool) return std::nullopt;
  return load<uint8_t>(raw_.data()) != 0;
}

std::optional<int64_t> GgufValue::integer() const { return is_array_ ? std::nullopt : integer_at(type_, raw_.data()); }

std::optional<double> GgufValue::real() const { return is_array_ ? std::nullopt : real_at(type_, raw_.data()); }

std::optional<std::string_view> GgufValue::text() const {
  if (is_array_ || type_ != GgufType::kString) return std::nullopt;
  return string_at(raw_.data());
}

std::optional<std::vector<int64_t>> GgufValue::integers() const {
  if (!is_array_ || type_ == GgufType::kString) return std::nullopt;
  std::vector<int64_t> list(count_);
  const size_t step = gguf_scalar_bytes(type_);
  for (size_t i = 0; i < list.size(); ++i) {
    const std::byte* at = raw_.data() + i * step;
    const auto value = type_ == GgufType::kBool ? int64_t{load<uint8_t>(at) != 0} : integer_at(type_, at);
    if (!value) return std::nullopt;
    list[i] = *value;
  }
  return list;
}

std::optional<std::vector<double>> GgufValue::reals() const {
  if (!is_array_ || type_ == GgufType::kString || type_ == GgufType::kBool) return std::nullopt;
  std::vector<double> list(count_);
  const size_t step = gguf_scalar_bytes(type_);
  for (size_t i = 0; i < list.size(); ++i) list[i] = real_at(type_, raw_.data() + i * step).value_or(0);
  return list;
}

std::optional<std::vector<std::string_view>> GgufValue::texts() const {
  if (!is_array_ || type_ != GgufType::kString) return std::nullopt;
  std::vector<std::string_view> list(count_);
  const std::byte* at = raw_.data();
  for (std::string_view& text : list) {
    text = string_at(at);
    at += sizeof(uint64_t) + text.size();
  }
  return list;
}

std::string GgufValue::type_name() const {
  constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                    "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<uint32_t>(type_)] + std::string(is_array_ ? "[]" : "");
}

std::string GgufValue::display(size_t limit) const {
  if (!is_array_) return element_text(type_, raw_.data(), limit);
  std::string line = "[";
  const std::byte* at = raw_.data();
  for (uint64_t i = 0; i < count_; ++i) {
    const std::string element = element_text(type_, at, limit);
    if (line.size() + element.size() > limit)
      return base::concat(line, i > 0 ? ", " : "", "... (", count_, " values)]");
    line += (i > 0 ? ", " : "") + element;
    at += element_bytes(type_, at);
  }
  return line + "]";
}

namespace {

/// How get<T> reads a value and what it calls it in messages.
template <class T>
struct Getter;
template <>
struct Getter<bool> {
  static constexpr const char* kName = "a boolean";
  static auto read(const GgufValue& v) { return v.boolean(); }
};
template <>
struct Getter<int64_t> {
  static constexpr const char* kName = "an integer of 64 bits";
  static auto read(const GgufValue& v) { return v.integer(); }
};
template <>
struct Getter<double> {
  static constexpr const char* kName = "a number";
  static auto read(const GgufValue& v) { return v.real(); }
};
template <>
struct Getter<std::string_view> {
  static constexpr const char* kName = "a string";
  static auto read(const GgufValue& v) { return v.text(); }
};
template <>
struct Getter<std::vector<int64_t>> {
  static constexpr const char* kName = "an array of integers of 64 bits";
  static auto read(const GgufValue& v) { return v.integers(); }
};
template <>
struct Getter<std::vector<int32_t>> {
  static constexpr const char* kName = "an array of integers of 32 bits";
  static std::optional<std::vector<int32_t>> read(const GgufValue& v) {
    const auto wide = v.integers();
    if (!wide || !std::all_of(wide->begin(), wide->end(), [](int64_t x) { return std::in_range<int32_t>(x); }))
      return std::nullopt;
    return std::vector<int32_t>(wide->begin(), wide->end());
  }
};
template <>
struct Getter<std::vector<double>> {
  static constexpr const char* kName = "an array of numbers";
  static auto read(const GgufValue& v) { return v.reals(); }
};
template <>
struct Getter<std::vector<std::string_view>> {
  static constexpr const char* kName = "an array of strings";
  static auto read(const GgufValue& v) { return v.texts(); }
};

}  // namespace

template <class T>
Result<std::optional<T>> GgufFile::get_optional(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::optional<T>{};
  std::optional<T> read = Getter<T>::read(*value);
  if (!read) return bad_file(path_, key, Getter<T>::kName, value->type_name() + " " + value->display());
  return read;
}

template <class T>
Result<T> GgufFile::get(std::string_view key) const {
  DG_TRY_ASSIGN(std::optional<T> value, get_optional<T>(key));
  if (!value) return bad_file(path_, key, Getter<T>::kName, "no such key");
  return *std::move(value);
}

#define DG_GGUF_GETTERS(T)                                         \
  template Result<T> GgufFile::get<T>(std::string_view key) const; \
  template Result<std::optional<T>> GgufFile::get_optional<T>(std::string_view key) const;
DG_GGUF_GETTERS(bool)
DG_GGUF_GETTERS(int64_t)
DG_GGUF_GETTERS(double)
DG_GGUF_GETTERS(std::string_view)
DG_GGUF_GETTERS(std::vector<int64_t>)
DG_GGUF_GETTERS(std::vector<int32_t>)
DG_GGUF_GETTERS(std::vector<double>)
DG_GGUF_GETTERS(std::vector<std::string_view>)
#undef DG_GGUF_GETTERS

}  // namespace dgemma::formats
