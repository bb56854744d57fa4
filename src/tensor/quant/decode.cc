// The decoders of quant.h: one function per block format, written to be read next to its drawing.
//
// Every product and sum is rounded to float on its own (-ffp-contract=off), in the order of gguf's quants.py. In the
// drawings d and m are binary16 scales, numbers in brackets are bytes, and a value's index within its block is v.
#include <array>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "tensor/quant/quant.h"

namespace dgemma::tensor::quant {
namespace {

float half_at(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return f16_to_float(bits);
}

int low(uint8_t byte) { return byte & 15; }
int high(uint8_t byte) { return byte >> 4; }
int bit(const uint8_t* bits, size_t index) { return bits[index / 8] >> (index % 8) & 1; }

// Blocks of 32 values. Nibbles: byte i holds value i (low) and value i + 16 (high).

// d[2] nibbles[16]; value = d * (q - 8)
void q4_0(const uint8_t* b, float* out) {
  const float d = half_at(b);
  for (size_t i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(b[2 + i]) - 8);
    out[i + 16] = d * static_cast<float>(high(b[2 + i]) - 8);
  }
}

// d[2] m[2] nibbles[16]; value = d * q + m
void q4_1(const uint8_t* b, float* out) {
  const float d = half_at(b), m = half_at(b + 2);
  for (size_t i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(b[4 + i])) + m;
    out[i + 16] = d * static_cast<float>(high(b[4 + i])) + m;
  }
}

/// The five-bit number v of Q5_0 and Q5_1: a nibble and its bit of the 32 fifth bits.
int five_bits(const uint8_t* nibbles, const uint8_t* fifth, size_t v) {
  const uint8_t byte = nibbles[v % 16];
  return (v < 16 ? low(byte) : high(byte)) | bit(fifth, v) << 4;
}

// d[2] fifth bits[4] nibbles[16]; value = d * (q - 16)
void q5_0(const uint8_t* b, float* out) {
  const float d = half_at(b);
  for (size_t v = 0; v < 32; ++v) out[v] = d * static_cast<float>(five_bits(b + 6, b + 2, v) - 16);
}

// d[2] m[2] fifth bits[4] nibbles[16]; value = d * q + m
void q5_1(const uint8_t* b, float* out) {
  const float d = half_at(b), m = half_at(b + 2);
  for (size_t v = 0; v < 32; ++v) out[v] = d * static_cast<float>(five_bits(b + 8, b + 4, v)) + m;
}

// d[2] q i8[32]; value = d * q
void q8_0(const uint8_t* b, float* out) {
  const float d = half_at(b);
  for (size_t v = 0; v < 32; ++v) out[v] = d * static_cast<float>(static_cast<int8_t>(b[2 + v]));
}

/// The sixteen values that IQ4_NL and IQ4_XS choose from, denser near zero (ggml-common.h, kvalues_iq4nl).
constexpr std::array<int8_t, 16> kUnevenValues = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};
float uneven(int nibble) { return static_cast<float>(kUnevenValues[static_cast<size_t>(nibble)]); }

// d[2] nibbles[16]; value = d * table[q]
void iq4_nl(const uint8_t* b, float* out) {
  const float d = half_at(b);
  for (size_t i = 0; i < 16; ++i) {
    out[i] = d * uneven(low(b[2 + i]));
    out[i + 16] = d * uneven(high(b[2 + i]));
  }
}

// Blocks of 256 values. Their parts lie in planes: values v, v + 32, v + 64, v + 96 share a byte of two-bit numbers,
// values v, v + 32 (v + 64 in Q6_K) a byte of nibbles, and bit v / 32 of byte v % 32 is one high bit.

int two_bits(const uint8_t* q, size_t v) { return q[v / 128 * 32 + v % 32] >> (v / 32 % 4 * 2) & 3; }
int nibble_of_64(const uint8_t* q, size_t v) { return q[v / 64 * 32 + v % 32] >> (v / 32 % 2 * 4) & 15; }
int high_bit(const uint8_t* q, size_t v) { return q[v % 32] >> (v / 32) & 1; }

// (min 4 bits, scale 4 bits)[16] q 2 bits[64] d[2] dmin[2]; value = d * scale * q - dmin * min, per 16 values
void q2_k(const uint8_t* b, float* out) {
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (size_t v = 0; v < 256; ++v) {
    const float scale = d * static_cast<float>(low(b[v / 16]));
    const float minimum = dmin * static_cast<float>(high(b[v / 16]));
    out[v] = scale * static_cast<float>(two_bits(b + 16, v)) - minimum;
  }
}

/// The six-bit scale s of Q3_K's sixteen: low nibbles in bytes 0-7 (s and s + 8), high pairs in bytes 8-11.
int q3_k_scale(const uint8_t* scales, size_t s) {
  const int low4 = scales[s % 8] >> (s / 8 * 4) & 15;
  const int high2 = scales[8 + s % 4] >> (s / 4 * 2) & 3;
  return (low4 | high2 << 4) - 32;
}

// third bits[32] q 2 bits[64] scales[12] d[2]; value = d * scale * (q - 4 unless its third bit), per 16 values
void q3_k(const uint8_t* b, float* out) {
  const float d = half_at(b + 108);
  for (size_t v = 0; v < 256; ++v) {
    const float scale = d * static_cast<float>(q3_k_scale(b + 96, v / 16));
    out[v] = scale * static_cast<float>(two_bits(b + 32, v) - (high_bit(b, v) != 0 ? 0 : 4));
  }
}

struct ScaleAndMinimum {
  float scale, minimum;
};
/// Number s of the eight six-bit pairs of Q4_K and Q5_K: s < 4 in bytes s and s + 4; the others have their low nibbles
/// in bytes 8-11 and their high pairs on top of the first eight bytes.
ScaleAndMinimum scale_and_minimum(const uint8_t* scales, size_t s) {
  if (s < 4) return {static_cast<float>(scales[s] & 63), static_cast<float>(scales[s + 4] & 63)};
  const uint8_t nibbles = scales[s + 4];
  return {static_cast<float>(low(nibbles) | (scales[s - 4] >> 6) << 4),
          static_cast<float>(high(nibbles) | (scales[s] >> 6) << 4)};
}

// d[2] dmin[2] scales[12] q 4 bits[128]; value = d * scale * q - dmin * min, per 32 values
void q4_k(const uint8_t* b, float* out) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (size_t v = 0; v < 256; ++v) {
    const auto [scale, minimum] = scale_and_minimum(b + 4, v / 32);
    out[v] = d * scale * static_cast<float>(nibble_of_64(b + 16, v)) - dmin * minimum;
  }
}

// d[2] dmin[2] scales[12] fifth bits[32] q 4 bits[128]; as Q4_K
void q5_k(const uint8_t* b, float* out) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (size_t v = 0; v < 256; ++v) {
    const auto [scale, minimum] = scale_and_minimum(b + 4, v / 32);
    const int q = nibble_of_64(b + 48, v) | high_bit(b + 16, v) << 4;
    out[v] = d * scale * static_cast<float>(q) - dmin * minimum;
  }
}

// q low 4 bits[128] q high 2 bits[64] scales i8[16] d[2]; value = d * scale * (q - 32), per 16 values
void q6_k(const uint8_t* b, float* out) {
  const float d = half_at(b + 208);
  for (size_t v = 0; v < 256; ++v) {
    const float scale = d * static_cast<float>(static_cast<int8_t>(b[192 + v / 16]));
    const int low4 = b[v / 128 * 64 + v % 64] >> (v / 64 % 2 * 4) & 15;
    out[v] = scale * static_cast<float>((low4 | two_bits(b + 128, v) << 4) - 32);
  }
}

// d[2] scales high 2 bits[2] scales low 4 bits[4] nibbles[128]; value = d * (scale - 32) * table[q], per 32 values
void iq4_xs(const uint8_t* b, float* out) {
  const float d = half_at(b);
  for (size_t v = 0; v < 256; ++v) {
    const size_t s = v / 32;
    const int high2 = b[2 + s / 4] >> (s % 4 * 2) & 3;
    const int low4 = b[4 + s / 2] >> (s % 2 * 4) & 15;
    const float scale = d * static_cast<float>((low4 | high2 << 4) - 32);
    out[v] = scale * uneven(b[8 + s * 16 + v % 16] >> (v / 16 % 2 * 4) & 15);
  }
}

// Plain numbers are blocks of one.
void f64(const uint8_t* b, float* out) {
  double value;
  std::memcpy(&value, b, sizeof value);
  *out = static_cast<float>(value);
}
void f16(const uint8_t* b, float* out) { *out = half_at(b); }
void bf16(const uint8_t* b, float* out) {
  uint16_t bits;
  std::memcpy(&bits, b, sizeof bits);
  *out = bf16_to_float(bits);
}

using Decoder = void (*)(const uint8_t* blocks, size_t count, float* out);

template <void (*DecodeBlock)(const uint8_t*, float*), size_t kValues, size_t kBytes>
void decode_blocks(const uint8_t* blocks, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) DecodeBlock(blocks + i * kBytes, out + i * kValues);
}

Decoder decoder_of(DType type) {
  switch (type) {
    case DType::kF16:
      return decode_blocks<f16, 1, 2>;
    case DType::kBF16:
      return decode_blocks<bf16, 1, 2>;
    case DType::kF64:
      return decode_blocks<f64, 1, 8>;
    case DType::kQ8_0:
      return decode_blocks<q8_0, 32, 34>;
    case DType::kQ4_0:
      return decode_blocks<q4_0, 32, 18>;
    case DType::kQ4_1:
      return decode_blocks<q4_1, 32, 20>;
    case DType::kQ5_0:
      return decode_blocks<q5_0, 32, 22>;
    case DType::kQ5_1:
      return decode_blocks<q5_1, 32, 24>;
    case DType::kQ2_K:
      return decode_blocks<q2_k, 256, 84>;
    case DType::kQ3_K:
      return decode_blocks<q3_k, 256, 110>;
    case DType::kQ4_K:
      return decode_blocks<q4_k, 256, 144>;
    case DType::kQ5_K:
      return decode_blocks<q5_k, 256, 176>;
    case DType::kQ6_K:
      return decode_blocks<q6_k, 256, 210>;
    case DType::kIQ4_NL:
      return decode_blocks<iq4_nl, 32, 18>;
    case DType::kIQ4_XS:
      return decode_blocks<iq4_xs, 256, 136>;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_decode(DType type) { return type == DType::kF32 || decoder_of(type) != nullptr; }

void decode(DType type, const std::byte* blocks, size_t values, float* out) {
  const size_t block_values = info(type).block_values;
  DG_CHECK(can_decode(type), info(type).name);
  DG_CHECK(values % block_values == 0, values, " values of ", info(type).name);
  if (values == 0) return;
  if (type == DType::kF32) {
    std::memcpy(out, blocks, values * sizeof(float));
    return;
  }
  decoder_of(type)(reinterpret_cast<const uint8_t*>(blocks), values / block_values, out);
}

}  // namespace dgemma::tensor::quant
