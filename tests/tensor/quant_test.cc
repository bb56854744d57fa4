// Decoders and encoders against PyPI gguf, bit for bit; the fixtures are from tools/make_quant_fixture.py.
#include "tensor/quant/quant.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace dgemma::tensor::quant {
namespace {

constexpr DType kDecoded[] = {DType::kF16,  DType::kBF16, DType::kQ8_0,   DType::kQ4_0,  DType::kQ4_1,
                              DType::kQ5_0, DType::kQ5_1, DType::kQ2_K,   DType::kQ3_K,  DType::kQ4_K,
                              DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};
constexpr DType kEncoded[] = {DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ8_0};

struct Fixture {
  std::vector<float> values;
  std::vector<std::byte> blocks;
};

/// Reads TYPE.decode (blocks first) or TYPE.encode (values first).
Fixture read_fixture(DType type, bool blocks_first) {
  const std::string path = std::string(DGEMMA_SOURCE_DIR "/tests/data/tensor/quant/") + std::string(info(type).name) +
                           (blocks_first ? ".decode" : ".encode");
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  uint32_t count = 0;
  if (bytes.size() < sizeof count) return {};
  std::memcpy(&count, bytes.data(), sizeof count);
  Fixture f{std::vector<float>(count), std::vector<std::byte>(storage_bytes(type, count).value_or(0))};
  const size_t value_bytes = count * sizeof(float);
  if (bytes.size() != sizeof count + value_bytes + f.blocks.size()) return {};
  const char* blocks = bytes.data() + sizeof count + (blocks_first ? 0 : value_bytes);
  const char* values = bytes.data() + sizeof count + (blocks_first ? f.blocks.size() : 0);
  std::memcpy(f.values.data(), values, value_bytes);
  std::memcpy(f.blocks.data(), blocks, f.blocks.size());
  return f;
}

TEST(Quant, every_format_decodes_to_the_bits_of_gguf) {
  for (const DType type : kDecoded) {
    SCOPED_TRACE(info(type).name);
    const Fixture f = read_fixture(type, true);
    ASSERT_FALSE(f.values.empty());
    std::vector<float> out(f.values.size());
    decode(type, f.blocks.data(), out.size(), out.data());
    size_t nans = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      if (std::isnan(f.values[i])) {
        EXPECT_TRUE(std::isnan(out[i])) << i;
        ++nans;
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(f.values[i]))
            << "value " << i << ": " << out[i] << ", expected " << f.values[i];
      }
    }
    EXPECT_LT(nans, out.size() / 2);
  }
}

TEST(Quant, encoders_write_the_bytes_of_gguf) {
  for (const DType type : kEncoded) {
    SCOPED_TRACE(info(type).name);
    const Fixture f = read_fixture(type, false);
    ASSERT_FALSE(f.values.empty());
    std::vector<std::byte> out(f.blocks.size());
    encode(type, f.values.data(), f.values.size(), out.data());
    for (size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], f.blocks[i]) << "byte " << i;
  }
}

TEST(Quant, blocks_may_lie_at_any_address) {
  for (const DType type : kDecoded) {
    const Fixture f = read_fixture(type, true);
    std::vector<std::byte> shifted(1 + f.blocks.size());
    std::memcpy(shifted.data() + 1, f.blocks.data(), f.blocks.size());
    std::vector<float> a(f.values.size()), b(f.values.size());
    decode(type, f.blocks.data(), a.size(), a.data());
    decode(type, shifted.data() + 1, b.size(), b.data());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << info(type).name;
  }
}

TEST(Quant, plain_floats_pass_unchanged) {
  const float values[] = {1.5f, -0.0f, 1e-40f, INFINITY};
  std::byte blocks[sizeof values];
  encode(DType::kF32, values, 4, blocks);
  float out[4];
  decode(DType::kF32, blocks, 4, out);
  EXPECT_EQ(std::memcmp(values, out, sizeof out), 0);
  const double wide = 0.1;
  decode(DType::kF64, reinterpret_cast<const std::byte*>(&wide), 1, out);
  EXPECT_EQ(out[0], 0.1f);
}

TEST(Quant, every_binary16_survives_a_round_trip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = f16_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(float_to_f16(value), bits);
  }
}

TEST(Quant, integers_are_not_weights) {
  EXPECT_FALSE(can_decode(DType::kI8));
  EXPECT_FALSE(can_decode(DType::kBool));
  EXPECT_TRUE(can_decode(DType::kIQ4_XS));
  EXPECT_FALSE(can_encode(DType::kQ4_K));
}

TEST(Quant, zeros_and_the_smallest_numbers_encode_without_overflow) {
  for (const float tiny : {0.0f, 1e-45f, -1e-39f}) {
    const std::vector<float> values(32, tiny);
    for (const DType type : {DType::kQ4_0, DType::kQ8_0}) {
      std::byte blocks[34];
      encode(type, values.data(), values.size(), blocks);
      float out[32];
      decode(type, blocks, 32, out);
      for (const float x : out) EXPECT_EQ(x, 0.0f);
    }
  }
}

}  // namespace
}  // namespace dgemma::tensor::quant
