// A golden model written again in another way, with the same values or with others: types, names, files, alignment.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "golden.h"
#include "tensor/dtype.h"
#include "tensor/quant/quant.h"

namespace dgemma::golden {

/// A tensor of a safetensors file.
struct Stored {
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<uint64_t> shape;
  std::string bytes;

  std::vector<float> values() const {
    uint64_t count = 1;
    for (const uint64_t size : shape) count *= size;
    std::vector<float> out(count);
    tensor::quant::decode(dtype, reinterpret_cast<const std::byte*>(bytes.data()), count, out.data());
    return out;
  }
};

using Tensors = std::map<std::string, Stored>;

/// `values` in another type, rounded.
inline Stored stored(tensor::DType dtype, std::vector<uint64_t> shape, const std::vector<float>& values) {
  Stored out{dtype, std::move(shape), std::string(*tensor::storage_bytes(dtype, values.size()), '\0')};
  tensor::quant::encode(dtype, values.data(), values.size(), reinterpret_cast<std::byte*>(out.bytes.data()));
  return out;
}

/// The tensors of a golden model.
inline Tensors tensors_of(const std::string& model) {
  std::ifstream file(folder() + model + "/model.safetensors", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
  Tensors tensors;
  for (const auto& [name, field] : header.items()) {
    if (name == "__metadata__") continue;
    const auto offsets = field["data_offsets"].get<std::vector<uint64_t>>();
    tensors[name] = {tensor::DType::kBF16, field["shape"].get<std::vector<uint64_t>>(),
                     bytes.substr(8 + length + offsets[0], offsets[1] - offsets[0])};
  }
  return tensors;
}

/// Writes a safetensors file with a tensor of one byte in front, so that no other one is aligned.
inline void write_misaligned(const std::string& path, const Tensors& tensors) {
  nlohmann::json header;
  std::string data = "?";
  header["model.encoder.vision_tower.odd"] = {{"dtype", "U8"}, {"shape", {1}}, {"data_offsets", {0, 1}}};
  for (const auto& [name, t] : tensors) {
    header[name] = {{"dtype", tensor::info(t.dtype).name},
                    {"shape", t.shape},
                    {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
    data += t.bytes;
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << text << data;
}

/// A folder NAME in the tests' temporary folder: config.json of a golden model as `edit` leaves it, and these tensors.
inline std::string write_folder(const std::string& name, const std::string& model, const Tensors& tensors,
                                const std::function<void(nlohmann::json&)>& edit = {}) {
  const std::filesystem::path at = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::create_directories(at);
  std::ifstream file(folder() + model + "/config.json");
  nlohmann::json config = nlohmann::json::parse(file);
  if (edit) edit(config);
  std::ofstream(at / "config.json") << config.dump();
  write_misaligned((at / "model.safetensors").string(), tensors);
  return at.string();
}

}  // namespace dgemma::golden
