// Norm, activations, rotation and moves: against double precision, with bounds in units of the last place, on odd sizes
// and at page ends, for every table.
#include <algorithm>
#include <array>
#include <functional>

#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"

namespace dgemma::kernels::testing {
namespace {

constexpr size_t kFeatures[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130};

using Elementwise = EachTable;
DG_FOR_EACH_TABLE(Elementwise);

PageEnd<float> random_lanes(size_t features, uint32_t seed, float range = 4.0f) {
  PageEnd<float> x(features * kLanes);
  Values(seed).fill(x, range);
  return x;
}

// The mean has an error of at most (D/8 + 4) roundings, half of that after the root, then three more roundings.
TEST_P(Elementwise, rms_norm_divides_by_the_root_mean_square) {
  for (const size_t d : kFeatures)
    for (const bool weighted : {false, true}) {
      const PageEnd<float> x = random_lanes(d, 1);
      PageEnd<float> weight(d), out(d * kLanes);
      Values(2).fill(weight);
      table().rms_norm(x.data(), weighted ? weight.data() : nullptr, 1e-6f, out.data(), d);
      for (size_t lane = 0; lane < kLanes; ++lane) {
        double mean = 0;
        for (size_t i = 0; i < d; ++i) mean += std::pow(static_cast<double>(x[i * kLanes + lane]), 2);
        const double scale = 1 / std::sqrt(mean / static_cast<double>(d) + 1e-6f);
        const double bound = kUnit * (static_cast<double>(d) / 16 + 7);
        for (size_t i = 0; i < d; ++i) {
          const double w = weighted ? weight[i] : 1.0f;
          const double want = x[i * kLanes + lane] * scale * w;
          ASSERT_NEAR(out[i * kLanes + lane], want, std::fabs(want) * bound) << "d " << d << " lane " << lane;
        }
      }
    }
}

TEST_P(Elementwise, rms_norm_of_zeros_is_zeros_and_of_huge_values_stays_finite) {
  PageEnd<float> x(5 * kLanes);
  table().rms_norm(x.data(), nullptr, 1e-6f, x.data(), 5);
  for (const float v : x) EXPECT_EQ(v, 0.0f);
  for (float& v : x) v = 1e18f;
  table().rms_norm(x.data(), nullptr, 1e-6f, x.data(), 5);
  for (const float v : x) EXPECT_NEAR(v, 1.0f, 1e-6f);
}

TEST_P(Elementwise, add_scaled_rounds_the_sum_and_then_the_product) {
  for (const size_t d : kFeatures) {
    PageEnd<float> x = random_lanes(d, 3);
    const PageEnd<float> before = x, y = random_lanes(d, 4);
    table().add_scaled(x.data(), y.data(), 0.7f, d);
    for (size_t i = 0; i < x.size(); ++i) {
      const float sum = before[i] + y[i];
      ASSERT_EQ(x[i], sum * 0.7f);
    }
  }
}

TEST_P(Elementwise, scaling_and_adding_take_a_factor_by_lane_or_by_feature) {
  for (const size_t d : kFeatures) {
    PageEnd<float> by_lane = random_lanes(d, 3), by_feature = by_lane, sum = by_lane;
    const PageEnd<float> before = by_lane, y = random_lanes(d, 4), factor = random_lanes(d, 8, 1);
    table().scale_lanes(by_lane.data(), factor.data(), d);
    table().scale_features(by_feature.data(), factor.data(), d);
    table().add_weighted(y.data(), factor.data(), sum.data(), d);
    for (size_t i = 0; i < before.size(); ++i) {
      ASSERT_EQ(by_lane[i], before[i] * factor[i % kLanes]);
      ASSERT_EQ(by_feature[i], before[i] * factor[i / kLanes]);
      const float product = factor[i % kLanes] * y[i];
      ASSERT_EQ(sum[i], before[i] + product);
    }
  }
}

TEST_P(Elementwise, rope_rotates_pairs_half_a_head_apart) {
  for (const size_t half : kFeatures) {
    PageEnd<float> x = random_lanes(2 * half, 5);
    const PageEnd<float> before = x, cos = random_lanes(half, 6, 1), sin = random_lanes(half, 7, 1);
    table().rope(x.data(), cos.data(), sin.data(), half);
    for (size_t i = 0; i < half * kLanes; ++i) {
      const double a = before[i], b = before[half * kLanes + i], c = cos[i], s = sin[i];
      const double bound = 2 * kUnit * (std::fabs(a) + std::fabs(b));  // two products of at most 1, one sum
      ASSERT_NEAR(x[i], a * c - b * s, bound);
      ASSERT_NEAR(x[half * kLanes + i], b * c + a * s, bound);
    }
  }
}

// Runs a function of one value over many values, 16 features at a time.
std::vector<float> map(const std::vector<float>& in, const std::function<void(float*, size_t)>& kernel) {
  const size_t features = (in.size() + kLanes - 1) / kLanes;
  PageEnd<float> x(features * kLanes);
  std::copy(in.begin(), in.end(), x.begin());
  kernel(x.data(), features);
  return {x.begin(), x.begin() + static_cast<std::ptrdiff_t>(in.size())};
}

// Values over all magnitudes, and a fine grid where the functions bend.
std::vector<float> probes() {
  std::vector<float> v = {0.0f, -0.0f, 1e-45f, -1e-40f, kInf, -kInf, 3.4e38f, -3.4e38f};
  for (float x = 1e-30f; x < 1e30f; x *= 1.37f) v.insert(v.end(), {x, -x});
  for (int i = -40000; i <= 40000; ++i) v.push_back(static_cast<float>(i) * 0.000777f);
  return v;
}

TEST_P(Elementwise, softcap_is_within_5_ulp) {
  const std::vector<float> in = probes();
  for (const float cap : {1.0f, 30.0f, 50.0f}) {
    const auto out = map(in, [&](float* x, size_t d) { table().softcap(x, cap, 1.0f, d); });
    for (size_t i = 0; i < in.size(); ++i) {
      const double want = cap * std::tanh(static_cast<double>(in[i]) / cap);
      if (std::fabs(want) < 1e-37) {
        ASSERT_NEAR(out[i], want, 1e-37);
      } else {
        ASSERT_LE(ulps(out[i], want), 5) << in[i] << " gives " << out[i] << ", not " << want;
      }
      ASSERT_EQ(std::signbit(out[i]), std::signbit(in[i])) << in[i];
    }
  }
}

TEST_P(Elementwise, softcap_multiplies_by_scale) {
  const std::vector<float> in = {1.0f, -20.0f, 300.0f};
  const auto out = map(in, [&](float* x, size_t d) { table().softcap(x, 30.0f, 2.5f, d); });
  for (size_t i = 0; i < in.size(); ++i) EXPECT_NEAR(out[i], 75.0 * std::tanh(in[i] / 30.0), 75.0 * 4 * kUnit);
}

// PyTorch's own float32 formula cancels for negative values: an error of about an ulp of 1, times the value.
TEST_P(Elementwise, gelu_mul_is_the_tanh_approximation) {
  const std::vector<float> in = probes();
  const auto out = map(in, [&](float* x, size_t d) {
    const std::vector<float> up(d * kLanes, 3.0f);
    table().gelu_mul(x, up.data(), x, d);
  });
  for (size_t i = 0; i < in.size(); ++i) {
    const double v = in[i];
    if (in[i] == -kInf) continue;  // -inf * 0
    const double u = std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v);
    const double want = std::fabs(v) > 1e6 ? std::max(v, 0.0) * 3 : 3 * v / (1 + std::exp(-2 * u));
    if (want > 3.4e38) continue;
    const double bound = 4 * kUnit * std::max(std::fabs(want), 3 * std::min(std::fabs(v), 10.0));
    ASSERT_NEAR(out[i], want, bound + 1e-12) << v;
  }
}

TEST_P(Elementwise, not_a_number_stays_in_its_lane) {
  std::vector<float> in(kLanes, 0.5f);
  in[3] = std::numeric_limits<float>::quiet_NaN();
  PageEnd<float> one(kLanes);
  for (float& v : one) v = 1.0f;
  const auto capped = map(in, [&](float* x, size_t d) { table().softcap(x, 30, 1, d); });
  const auto gelu = map(in, [&](float* x, size_t d) { table().gelu_mul(x, one.data(), x, d); });
  const auto norm = map(in, [&](float* x, size_t d) { table().rms_norm(x, nullptr, 1e-6f, x, d); });
  for (size_t i = 0; i < kLanes; ++i)
    for (const auto* out : {&capped, &gelu, &norm}) EXPECT_EQ(std::isnan((*out)[i]), i == 3) << i;
}

/// Words of all kinds, subnormal numbers and NaNs among them.
PageEnd<float> random_words(size_t count) {
  PageEnd<float> words(count);
  uint32_t s = 1;
  for (float& w : words) w = std::bit_cast<float>(s = s * 1664525u + 1013904223u);
  return words;
}

TEST_P(Elementwise, gather_rows_moves_words_of_any_kind) {
  for (const size_t d : kFeatures) {
    const PageEnd<float> rows = random_words(5 * d);
    PageEnd<float> out(d * kLanes);
    std::array<const float*, kLanes> from{};
    for (size_t lane = 0; lane < kLanes; ++lane)
      from[lane] = rows.data() + (lane * 3 + 4) % 5 * d;  // the last among them
    table().gather_rows(from.data(), out.data(), d);
    for (size_t i = 0; i < d; ++i)
      for (size_t lane = 0; lane < kLanes; ++lane)
        ASSERT_EQ(std::bit_cast<uint32_t>(out[i * kLanes + lane]), std::bit_cast<uint32_t>(from[lane][i]));
  }
}

TEST_P(Elementwise, sum_rows_rounds_each_product_and_adds_in_ascending_order) {
  for (const size_t d : kFeatures)
    for (const size_t count : {0, 1, 2, 8}) {
      PageEnd<float> rows(8 * d), weight(count), out(d);
      Values(12).fill(rows), Values(13).fill(weight);
      std::vector<const float*> from;
      for (size_t i = 0; i < count; ++i) from.push_back(rows.data() + (i * 5 + 7) % 8 * d);
      table().sum_rows(from.data(), weight.data(), count, out.data(), d);
      for (size_t i = 0; i < d; ++i) {
        float sum = 0;
        for (size_t t = 0; t < count; ++t) {
          const float product = weight[t] * from[t][i];
          sum += product;
        }
        ASSERT_EQ(out[i], sum) << d << " " << count;
      }
    }
}

TEST_P(Elementwise, lanes_to_rows_moves_words_of_any_kind) {
  const PageEnd<float> x = random_words(33 * kLanes);
  PageEnd<float> out(33 * kLanes);
  table().lanes_to_rows_f32(x.data(), 33, out.data(), 33, kLanes);
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(x[i % 33 * kLanes + i / 33]));
}

/// `store(x, features, out, stride, rows)`; `stored(v)`: what it makes of a value.
template <class W, class Store, class Stored>
void check_lanes_to_rows(Store store, Stored stored) {
  for (const size_t d : kFeatures)
    for (const size_t rows : {0, 1, 5, 15, 16}) {
      const PageEnd<float> x = random_lanes(d, 9);
      const size_t stride = d + 3;
      PageEnd<W> out(rows == 0 ? 0 : (rows - 1) * stride + d);
      for (W& v : out) v = 77;
      store(x.data(), d, out.data(), stride, rows);
      for (size_t i = 0; i < out.size(); ++i) {
        const size_t r = i / stride, f = i % stride;
        ASSERT_EQ(out[i], f < d ? stored(x[f * kLanes + r]) : W{77});
      }
    }
}

TEST_P(Elementwise, lanes_to_rows_writes_only_the_rows_asked_for) {
  check_lanes_to_rows<float>(table().lanes_to_rows_f32, [](float v) { return v; });
  check_lanes_to_rows<uint16_t>(table().lanes_to_rows_bf16, tensor::float_to_bf16);
}

TEST_P(Elementwise, bf16_is_the_nearest_and_the_even_one_of_two) {
  const uint32_t bits[kLanes] = {0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0xbf818000,
                                 0x7f7fffff, 0x7f800000, 0xff800000, 0x00000001, 0x00008001, 0x80000000,
                                 0x7fc00000, 0x7f800001, 0xffffffff, 0x00018000};
  const uint16_t want[kLanes] = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x3f80, 0xbf82, 0x7f80, 0x7f80,
                                 0xff80, 0x0000, 0x0001, 0x8000, 0x7fc0, 0x7fc0, 0xffff, 0x0002};
  PageEnd<float> x(kLanes);
  PageEnd<uint16_t> out(kLanes);
  std::memcpy(x.data(), bits, sizeof bits);
  table().lanes_to_rows_bf16(x.data(), 1, out.data(), 1, kLanes);
  for (size_t r = 0; r < kLanes; ++r)
    EXPECT_TRUE(std::isnan(x[r]) ? std::isnan(widened(out[r])) : out[r] == want[r]) << r << ": " << out[r];
}

template <class W>
void check_rows_to_lanes(void (*kernel)(const W* const*, float, float*, size_t)) {
  for (const size_t d : kFeatures) {
    PageEnd<W> rows(kLanes * d);
    Values(10).fill(rows);
    std::array<const W*, kLanes> pointers{};
    for (size_t r = 0; r < kLanes; ++r) pointers[r] = r % 5 == 2 ? nullptr : rows.data() + r * d;
    PageEnd<float> x = random_lanes(d, 11);
    kernel(pointers.data(), 1.7f, x.data(), d);
    for (size_t i = 0; i < d; ++i)
      for (size_t r = 0; r < kLanes; ++r)
        ASSERT_EQ(x[i * kLanes + r], pointers[r] == nullptr ? 0.0f : widened(rows[r * d + i]) * 1.7f);
  }
}

TEST_P(Elementwise, rows_to_lanes_widens_scales_and_gives_zeros_for_no_row) {
  check_rows_to_lanes<float>(table().rows_to_lanes_f32);
  check_rows_to_lanes<uint16_t>(table().rows_to_lanes_bf16);
}

}  // namespace
}  // namespace dgemma::kernels::testing
