// The encoders of quant.h, for tests and tools: plain rounding as in gguf's quants.py, not the search for better scales
// that other quantisers make.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "tensor/quant/quant.h"

namespace dgemma::tensor::quant {
namespace {

constexpr size_t kBlock = 32;

/// 1 / d, or 0 where there is no finite one (all values zero, or so small that the stored scale is zero anyway).
float inverse(float d) {
  const float id = 1.0f / d;
  return std::isfinite(id) ? id : 0.0f;
}

void store_half(float value, uint8_t* at) {
  const uint16_t bits = float_to_f16(value);
  std::memcpy(at, &bits, sizeof bits);
}

float magnitude(float x) { return std::fabs(x); }

// d[2] nibbles[16]: the value of largest magnitude becomes -8, so that it is exact whatever its sign.
void q4_0(const float* x, uint8_t* b) {
  const float extreme = *std::max_element(x, x + kBlock, [](float a, float c) { return magnitude(a) < magnitude(c); });
  const float d = extreme / -8.0f;
  const float id = inverse(d);
  const auto q = [&](float value) { return std::clamp(static_cast<int>(value * id + 8.5f), 0, 15); };
  store_half(d, b);
  for (size_t i = 0; i < 16; ++i) b[2 + i] = static_cast<uint8_t>(q(x[i]) | q(x[i + 16]) << 4);
}

// d[2] q i8[32]: rounded half away from zero.
void q8_0(const float* x, uint8_t* b) {
  float largest = 0;
  for (size_t i = 0; i < kBlock; ++i) largest = std::max(largest, magnitude(x[i]));
  const float d = largest / 127.0f;
  const float id = inverse(d);
  store_half(d, b);
  for (size_t i = 0; i < kBlock; ++i) {
    const int q = std::clamp(static_cast<int>(std::round(x[i] * id)), -127, 127);
    b[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(q));
  }
}

}  // namespace

uint16_t float_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t rest = bits & 0x7FFFFFFF;
  if (rest > 0x7F800000) return sign | 0x7E00;   // NaN
  if (rest >= 0x477FF000) return sign | 0x7C00;  // from 65520 on the nearest is infinity
  if (rest < 0x38800000) {                       // below 2^-14: multiples of 2^-24, exact up to the rounding
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::fabs(value) * 0x1p24f)));
  }
  rest += 0xFFF + (rest >> 13 & 1);  // 13 bits go, ties to even
  return static_cast<uint16_t>(sign | (rest - 0x38000000) >> 13);
}

bool can_encode(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kQ4_0 ||
         type == DType::kQ8_0;
}

void encode(DType type, const float* values, size_t count, std::byte* blocks) {
  DG_CHECK(can_encode(type), info(type).name);
  DG_CHECK(count % info(type).block_values == 0, count, " values of ", info(type).name);
  auto* out = reinterpret_cast<uint8_t*>(blocks);
  const size_t bytes = info(type).block_bytes;
  if (type == DType::kQ4_0 || type == DType::kQ8_0) {
    for (size_t i = 0; i < count / kBlock; ++i)
      (type == DType::kQ4_0 ? q4_0 : q8_0)(values + i * kBlock, out + i * bytes);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    if (type == DType::kF32) {
      std::memcpy(out + i * bytes, values + i, bytes);
    } else {
      const uint16_t bits = type == DType::kF16 ? float_to_f16(values[i]) : float_to_bf16(values[i]);
      std::memcpy(out + i * bytes, &bits, bytes);
    }
  }
}

}  // namespace dgemma::tensor::quant
