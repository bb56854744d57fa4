#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dgemma::tensor {
namespace {

TEST(DType, sizes_are_whole_blocks_and_overflow_is_seen) {
  EXPECT_EQ(storage_bytes(DType::kBF16, 3), 6u);
  EXPECT_EQ(storage_bytes(DType::kQ4_0, 64), 36u);
  EXPECT_EQ(storage_bytes(DType::kQ4_0, 33), std::nullopt);
  EXPECT_EQ(storage_bytes(DType::kQ6_K, 512), 420u);
  EXPECT_EQ(storage_bytes(DType::kF64, std::numeric_limits<uint64_t>::max()), std::nullopt);
}

TEST(DType, bf16_round_trips_and_rounds_to_even) {
  EXPECT_EQ(bf16_to_float(float_to_bf16(1.5f)), 1.5f);
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-8f), 0x3F80);            // tie, to even: down
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-7f + 0x1p-8f), 0x3F82);  // tie, to even: up
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::nanf("")))));
  EXPECT_TRUE(std::isinf(bf16_to_float(float_to_bf16(std::numeric_limits<float>::max()))));
}

TEST(DType, f16_values_are_exact) {
  EXPECT_EQ(f16_to_float(0x3C00), 1.0f);
  EXPECT_EQ(f16_to_float(0xC000), -2.0f);
  EXPECT_EQ(f16_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(f16_to_float(0x7BFF), 65504.0f);
  EXPECT_TRUE(std::isinf(f16_to_float(0x7C00)));
  EXPECT_TRUE(std::isnan(f16_to_float(0x7E00)));
  EXPECT_TRUE(std::signbit(f16_to_float(0x8000)));
}

}  // namespace
}  // namespace dgemma::tensor
