// Builders of small model files in memory, right and wrong ones, for the tests of the readers.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace dgemma::formats {

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// A safetensors file of this header and data; the header's length may lie.
inline std::string safetensors_file(const std::string& header, const std::string& data, uint64_t length) {
  return raw(length) + header + data;
}
inline std::string safetensors_file(const std::string& header, const std::string& data = "") {
  return safetensors_file(header, data, header.size());
}

/// Copies bytes to memory that ends at the end of its allocation, so that the address sanitizer sees a read too far.
class ExactBytes {
 public:
  explicit ExactBytes(std::string_view text) : data_(new std::byte[text.size()]), size_(text.size()) {
    std::memcpy(data_.get(), text.data(), text.size());
  }
  std::span<const std::byte> span() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  size_t size_;
};

// The parts of a GGUF file.
inline std::string gguf_string(std::string_view text) { return raw(uint64_t{text.size()}) + std::string(text); }
inline std::string gguf_key(std::string_view name, uint32_t type, const std::string& value) {
  return gguf_string(name) + raw(type) + value;
}
inline std::string gguf_array(uint32_t type, uint64_t count, const std::string& values) {
  return raw(type) + raw(count) + values;
}
inline std::string gguf_info(std::string_view name, std::initializer_list<uint64_t> fastest_first, uint32_t type,
                             uint64_t offset) {
  std::string info = gguf_string(name) + raw(static_cast<uint32_t>(fastest_first.size()));
  for (const uint64_t size : fastest_first) info += raw(size);
  return info + raw(type) + raw(offset);
}

struct GgufParts {
  uint32_t version = 3;
  uint64_t tensors = 0, keys = 0;
  std::string key_bytes, info_bytes, data;
  size_t alignment = 32;

  std::string file() const {
    std::string bytes = "GGUF" + raw(version) + raw(tensors) + raw(keys) + key_bytes + info_bytes;
    if (!data.empty()) bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
    return bytes + data;
  }
};

/// A folder that goes when the object does.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::random_device random;
    path_ = std::filesystem::temp_directory_path() / ("dgemma-formats-" + std::to_string(random()));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, std::string_view bytes) const {
    const auto file = path_ / name;
    std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return file.string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace dgemma::formats
