#include "tensor/four_bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tensor/packed_layout.h"
#include "tensor/quant/quant.h"

namespace dgemma::tensor {
namespace {

using Values = std::array<float, kScaleGroup>;

/// The values that a rounded group stands for; its nibbles are two values of four (packed_layout.h).
Values values_of(const FourBitGroup& group) {
  Values out;
  for (size_t i = 0; i < kScaleGroup; ++i) {
    const uint32_t code = group.line[i / 8] >> (8 * (i % 4) + 4 * (i % 8 / 4)) & 15;
    out[i] = f16_to_float(group.scale) * (static_cast<float>(code) - 8.0f);
  }
  return out;
}

double squared_error(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < kScaleGroup; ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return sum;
}

Values by_q4_0(const Values& values) {
  std::array<std::byte, 18> block;
  Values out;
  quant::encode(DType::kQ4_0, values.data(), kScaleGroup, block.data());
  quant::decode(DType::kQ4_0, block.data(), kScaleGroup, out.data());
  return out;
}

Values rounded(const Values& values) {
  FourBitGroup group;
  EXPECT_TRUE(round_to_four_bits(values.data(), group));
  return values_of(group);
}

TEST(FourBits, are_nearer_than_q4_0_for_numbers_of_every_distribution) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  for (const bool heavy_tails : {false, true}) {
    double ours = 0, theirs = 0;
    for (int n = 0; n < 400; ++n) {
      Values values;
      for (float& v : values) v = heavy_tails ? std::pow(normal(generator) * 50, 3.0f) : normal(generator);
      const double error = squared_error(values, rounded(values)), bound = squared_error(values, by_q4_0(values));
      EXPECT_LE(error, bound * 1.01) << "group " << n;  // the scale's rounding to f16
      ours += error / squared_error(values, {}), theirs += bound / squared_error(values, {});
    }
    EXPECT_LT(ours, 0.93 * theirs);
  }
}

TEST(FourBits, keep_what_is_four_bits_already) {
  for (const float scale : {0.25f, -0.25f}) {
    Values values;
    for (size_t i = 0; i < kScaleGroup; ++i) values[i] = scale * (static_cast<float>(i * 5 % 16) - 8.0f);
    EXPECT_EQ(rounded(values), values) << scale;
  }
  EXPECT_EQ(rounded(Values{}), Values{});
}

TEST(FourBits, take_the_ends_of_f16_and_refuse_what_is_beyond) {
  Values values{};
  values[7] = 1e-8f, values[8] = -1e-30f;
  for (const float v : rounded(values)) EXPECT_LE(std::fabs(v), 1.2e-7f);
  FourBitGroup group;
  for (const float bad :
       {1e6f, -1e6f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    values[3] = bad;
    EXPECT_FALSE(round_to_four_bits(values.data(), group)) << bad;
  }
}

}  // namespace
}  // namespace dgemma::tensor
