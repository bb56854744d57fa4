// Every table's decoders against tensor::quant::decode, bit for bit: all byte values, extreme scales, odd numbers of
// blocks, blocks and values that end at a page end.
#include <algorithm>
#include <cstring>

#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"
#include "tensor/quant/quant.h"

namespace dgemma::kernels::testing {
namespace {

using tensor::DType;

struct Format {
  DType type;
  std::vector<size_t> scales;  // where a block's binary16 numbers lie
};

const Format kFormats[] = {
    {DType::kQ8_0, {0}},    {DType::kQ4_0, {0}},      {DType::kQ4_1, {0, 2}}, {DType::kQ5_0, {0}},
    {DType::kQ5_1, {0, 2}}, {DType::kQ2_K, {80, 82}}, {DType::kQ3_K, {108}},  {DType::kQ4_K, {0, 2}},
    {DType::kQ5_K, {0, 2}}, {DType::kQ6_K, {208}},    {DType::kIQ4_NL, {0}},  {DType::kIQ4_XS, {0}},
    {DType::kF16, {0}},
};

// Zeros, subnormals, the largest number, infinities, quiet and signalling NaN, one.
constexpr uint16_t kScales[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff,
                                0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7c01, 0x3c00, 0xbc00};

PageEnd<uint8_t> random_blocks(size_t bytes, uint32_t seed) {
  PageEnd<uint8_t> blocks(bytes);
  Values values(seed);
  for (uint8_t& b : blocks) b = static_cast<uint8_t>(values.bits() >> 16);
  return blocks;
}

PageEnd<float> expected(DType type, const PageEnd<uint8_t>& blocks, size_t values) {
  PageEnd<float> out(values);
  tensor::quant::decode(type, reinterpret_cast<const std::byte*>(blocks.data()), values, out.data());
  return out;
}

/// The first value that differs, NaN being equal to NaN; values where none does.
size_t first_difference(const float* got, const PageEnd<float>& want) {
  for (size_t i = 0; i < want.size(); ++i)
    if (std::bit_cast<uint32_t>(got[i]) != std::bit_cast<uint32_t>(want[i]) &&
        !(std::isnan(got[i]) && std::isnan(want[i])))
      return i;
  return want.size();
}

class Decode : public EachTable {
 protected:
  void check(DType type, const PageEnd<uint8_t>& blocks, size_t values) const {
    const PageEnd<float> want = expected(type, blocks, values);
    PageEnd<float> got(values);
    table().decode[*decode_index(type)](blocks.data(), values, got.data());
    ASSERT_EQ(first_difference(got.data(), want), values) << tensor::info(type).name;
  }
};
DG_FOR_EACH_TABLE(Decode);

TEST_P(Decode, any_number_of_blocks_has_the_bits_of_the_reference) {
  for (const Format& f : kFormats)
    for (const size_t count : {0, 1, 2, 3, 5, 7, 16, 31, 64, 101}) {
      const auto& info = tensor::info(f.type);
      check(f.type, random_blocks(count * info.block_bytes, static_cast<uint32_t>(count)), count * info.block_values);
    }
}

TEST_P(Decode, every_f16_has_the_bits_of_the_reference) {
  PageEnd<uint8_t> all(size_t{0x10000} * 2);
  for (size_t i = 0; i < 0x10000; ++i) {
    all[2 * i] = static_cast<uint8_t>(i);
    all[2 * i + 1] = static_cast<uint8_t>(i >> 8);
  }
  check(DType::kF16, all, 0x10000);
}

TEST_P(Decode, extreme_scales_have_the_bits_of_the_reference) {
  for (const Format& f : kFormats) {
    const auto& info = tensor::info(f.type);
    for (const uint16_t first : kScales)
      for (const uint16_t second : kScales) {
        PageEnd<uint8_t> blocks = random_blocks(info.block_bytes, uint32_t{first} * 3 + second);
        std::memcpy(blocks.data() + f.scales.front(), &first, sizeof first);
        if (f.scales.size() > 1) std::memcpy(blocks.data() + f.scales.back(), &second, sizeof second);
        check(f.type, blocks, info.block_values);
      }
  }
}

// Rows of a matrix start anywhere, and a panel may have rows of any length.
TEST_P(Decode, blocks_and_values_may_start_anywhere) {
  for (const Format& f : kFormats) {
    const auto& info = tensor::info(f.type);
    const size_t values = 3 * info.block_values, bytes = 3 * info.block_bytes;
    const PageEnd<uint8_t> blocks = random_blocks(bytes, 77);
    const PageEnd<float> want = expected(f.type, blocks, values);
    for (size_t shift = 0; shift < 9; ++shift) {
      PageEnd<uint8_t> moved(bytes + shift);
      std::memcpy(moved.data(), blocks.data(), bytes);
      PageEnd<float> got(values + shift);
      table().decode[*decode_index(f.type)](moved.data(), values, got.data());
      ASSERT_EQ(first_difference(got.data(), want), values) << info.name << " " << shift;
    }
  }
}

TEST_P(Decode, nothing_around_the_values_is_written) {
  constexpr size_t kAround = 64;
  for (const Format& f : kFormats) {
    const auto& info = tensor::info(f.type);
    for (const size_t count : {0, 1, 3}) {
      const size_t values = count * info.block_values;
      std::vector<float> out(values + 2 * kAround, 123.0f);
      table().decode[*decode_index(f.type)](random_blocks(count * info.block_bytes, 5).data(), values,
                                            out.data() + kAround);
      for (size_t i = 0; i < kAround; ++i) {
        ASSERT_EQ(out[i], 123.0f) << info.name;
        ASSERT_EQ(out[kAround + values + i], 123.0f) << info.name;
      }
    }
  }
}

TEST(DecodeIndex, every_type_that_needs_decoding_has_one) {
  for (const Format& f : kFormats) EXPECT_TRUE(decode_index(f.type).has_value()) << tensor::info(f.type).name;
  EXPECT_EQ(std::size(kFormats), size_t{kDecodeFormats});
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF64, DType::kI8, DType::kBool})
    EXPECT_FALSE(decode_index(type).has_value()) << tensor::info(type).name;
}

}  // namespace
}  // namespace dgemma::kernels::testing
