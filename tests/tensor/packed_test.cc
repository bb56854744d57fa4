#include "tensor/packed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tensor/quant/quant.h"

namespace dgemma::tensor {
namespace {

struct Packed {
  std::vector<std::byte> bytes;
  Weight weight;
  bool good = true;
};

Packed pack(const Weight& w, DType type) {
  Packed out;
  const size_t panel = panel_bytes(type, w.cols);
  out.bytes.resize(packed_bytes(type, w.rows, w.cols), std::byte{0xEE});
  for (size_t row = 0; row < w.rows; row += kPanelRows)
    out.good &= pack_panel(w, type, row, out.bytes.data() + row / kPanelRows * panel);
  out.weight = {type, out.bytes.data(), w.rows, w.cols, panel};
  return out;
}
Packed pack(const Weight& w) { return pack(w, packed_type(w.dtype)); }

std::vector<float> normal_values(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<float> values(count);
  for (float& v : values) v = normal(generator);
  return values;
}

TEST(Packed, sizes_are_those_of_the_drawing) {
  EXPECT_EQ(info(DType::kPacked4).block_bytes, kSuperblockBytes4);
  EXPECT_EQ(info(DType::kPacked8).block_bytes, kSuperblockBytes8);
  EXPECT_EQ(packed_bytes(DType::kPacked4, 2816, 704), 2816u * 704 * 18 / 32) << "not a byte more than Q4_0";
  EXPECT_EQ(packed_bytes(DType::kPacked8, 17, 65), 2u * 2 * 1088);
}

TEST(Packed, q4_0_and_q8_0_keep_every_value) {
  for (const DType type : {DType::kQ4_0, DType::kQ8_0})
    for (const auto& [rows, cols] : {std::pair<size_t, size_t>{16, 64}, {37, 96}, {1, 32}, {18, 704}}) {
      const auto values = normal_values(rows * cols, 1);
      std::vector<std::byte> stored(*storage_bytes(type, rows * cols));
      quant::encode(type, values.data(), values.size(), stored.data());
      std::vector<float> want(values.size()), got(cols);
      quant::decode(type, stored.data(), want.size(), want.data());
      const Packed packed = pack({type, stored.data(), rows, cols});
      ASSERT_TRUE(packed.good);
      for (size_t r = 0; r < rows; ++r) {
        unpack_row(packed.weight, r, got.data());
        for (size_t i = 0; i < cols; ++i) ASSERT_EQ(got[i], want[r * cols + i]) << r << " " << i;
      }
    }
}

TEST(Packed, other_types_are_within_half_a_step_of_their_32_columns) {
  const size_t rows = 19, cols = 256;
  const auto values = normal_values(rows * cols, 2);
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    std::vector<std::byte> stored(*storage_bytes(type, values.size()));
    quant::encode(type, values.data(), values.size(), stored.data());
    std::vector<float> want(values.size()), got(cols);
    quant::decode(type, stored.data(), want.size(), want.data());
    const Packed packed = pack({type, stored.data(), rows, cols});
    EXPECT_EQ(packed.weight.dtype, DType::kPacked8);
    for (size_t r = 0; r < rows; ++r) {
      unpack_row(packed.weight, r, got.data());
      for (size_t i = 0; i < cols; ++i) {
        float largest = 0;
        for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
          largest = std::max(largest, std::fabs(want[r * cols + j]));
        ASSERT_NEAR(got[i], want[r * cols + i], largest / 253) << r << " " << i;
      }
    }
  }
}

/// Normal values in the type, or, where nothing here encodes it, blocks of Q4_K with random codes and factors.
std::vector<std::byte> stored_values(DType type, const std::vector<float>& values, unsigned seed) {
  std::vector<std::byte> stored(*storage_bytes(type, values.size()));
  if (quant::can_encode(type)) {
    quant::encode(type, values.data(), values.size(), stored.data());
    return stored;
  }
  std::mt19937 generator(seed);
  for (std::byte& b : stored) b = std::byte{static_cast<uint8_t>(generator())};
  const uint16_t factors[] = {quant::float_to_f16(0.01f), quant::float_to_f16(0.07f)};  // the middle of codes is near 0
  for (size_t at = 0; at < stored.size(); at += info(type).block_bytes)
    std::memcpy(stored.data() + at, factors, sizeof factors);
  return stored;
}

TEST(Packed, every_type_becomes_the_bits_that_are_asked_for) {
  const size_t rows = 19, cols = 256;
  const auto values = normal_values(rows * cols, 5);
  for (const DType type : {DType::kF32, DType::kQ8_0, DType::kQ4_0, DType::kQ4_K}) {
    const std::vector<std::byte> stored = stored_values(type, values, 6);
    std::vector<float> want(values.size()), got(cols);
    quant::decode(type, stored.data(), want.size(), want.data());
    for (const DType wanted : {DType::kPacked4, DType::kPacked8}) {
      const Packed packed = pack({type, stored.data(), rows, cols}, wanted);
      ASSERT_TRUE(packed.good);
      double error = 0, size = 0;
      for (size_t r = 0; r < rows; ++r) {
        unpack_row(packed.weight, r, got.data());
        for (size_t i = 0; i < cols; ++i) {
          error += std::pow(double{got[i]} - want[r * cols + i], 2);
          size += std::pow(double{want[r * cols + i]}, 2);
        }
      }
      EXPECT_LT(std::sqrt(error / size), wanted == DType::kPacked4 ? 0.083 : 0.008) << info(type).name;
    }
  }
}

TEST(Packed, rows_of_odd_length_and_tiny_values_are_kept) {
  const size_t rows = 3, cols = 77;
  auto values = normal_values(rows * cols, 3);
  for (size_t i = 0; i < cols; ++i) values[i] *= 1e-5f;  // scales become subnormal f16
  const Packed packed = pack({DType::kF32, values.data(), rows, cols});
  ASSERT_TRUE(packed.good);
  std::vector<float> got(cols);
  for (size_t r = 0; r < rows; ++r) {
    unpack_row(packed.weight, r, got.data());
    const float bound = r == 0 ? 4e-8f : 2e-3f;  // half of the step above: 2^-24 is the smallest f16
    for (size_t i = 0; i < cols; ++i) ASSERT_NEAR(got[i], values[r * cols + i], bound) << r << " " << i;
  }
}

TEST(Packed, numbers_that_are_not_finite_or_too_large_are_reported) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e9f}) {
    auto values = normal_values(64, 4);
    values[40] = bad;
    EXPECT_FALSE(pack({DType::kF32, values.data(), 1, 64}).good) << bad;
  }
  std::vector<std::byte> stored(34);
  stored[1] = std::byte{0x7C};
  EXPECT_FALSE(pack({DType::kQ8_0, stored.data(), 1, 32}).good) << "an infinite scale";
}

TEST(Packed, row_ranges_are_whole_panels_with_a_stride) {
  const Weight w{DType::kPacked4, nullptr, 64, 64, 2000};
  EXPECT_EQ(w.row_range(32, 16).data, reinterpret_cast<const void*>(size_t{4000}));
  EXPECT_DEATH(w.row_range(8, 16), "panel");
}

}  // namespace
}  // namespace dgemma::tensor
