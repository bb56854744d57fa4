// See four_bits.h. Vectors of four are what every machine has; the compiler's extension keeps the order of sums.
#include "tensor/four_bits.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/packed_layout.h"
#include "tensor/quant/quant.h"

namespace dgemma::tensor {
namespace {

typedef float F __attribute__((vector_size(16)));
typedef int32_t I __attribute__((vector_size(16)));

constexpr size_t kVectors = kScaleGroup / 4;
constexpr float kLeast = 0x1p-64f;     // below, a reciprocal times a number could overflow
constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits
// Where the largest number goes: the codes' end at -8 and a step around it.
constexpr float kEnds[] = {-8.0f, -7.75f, -8.25f, -7.5f, -8.5f, -7.25f, -8.75f, -7.0f, -9.0f};

// The codes' ends. Volatile: GCC 12 compares with constants and blends, four instructions in place of a minimum.
volatile const float kLowest = -8.0f, kHighest = 7.0f;

F all(float s) { return F{s, s, s, s}; }
float sum(F v) { return (v[0] + v[1]) + (v[2] + v[3]); }

struct Numbers {
  F of[kVectors];
  F lowest = all(kLowest), highest = all(kHighest);

  /// The code of x * inverse, with kMagic added.
  F rounded(F x, float inverse) const {
    F scaled = x * inverse;
    scaled = scaled > lowest ? scaled : lowest;
    scaled = scaled < highest ? scaled : highest;
    return scaled + kMagic;
  }
};

/// The number of largest magnitude; infinite or NaN where one of them is.
float extreme_of(const Numbers& x) {
  I largest{};
  F high = x.of[0], low = x.of[0];
  for (const F v : x.of) {
    I bits;
    std::memcpy(&bits, &v, sizeof bits);
    bits &= 0x7FFFFFFF;  // magnitudes are ordered like their bits, and a NaN is above them all
    largest = bits > largest ? bits : largest;
    high = v > high ? v : high;
    low = v < low ? v : low;
  }
  int32_t most = 0;
  float top = high[0], bottom = low[0];
  for (size_t i = 0; i < 4; ++i) {
    most = largest[i] > most ? largest[i] : most;
    top = high[i] > top ? high[i] : top;
    bottom = low[i] < bottom ? low[i] : bottom;
  }
  const float magnitude = std::bit_cast<float>(most);
  if (!std::isfinite(magnitude)) return magnitude;
  return top >= -bottom ? top : bottom;
}

/// The scale that fits best the codes which rounding x * inverse gives, and by how much it lessens the squared error.
struct Fit {
  float scale, gain;
};
Fit fit(const Numbers& x, float inverse) {
  F products{}, squares{};
  for (const F v : x.of) {
    const F code = x.rounded(v, inverse) - kMagic;
    products += v * code;
    squares += code * code;
  }
  const float along = sum(products), length = sum(squares);
  return {along / length, along * (along / length)};
}

float best_scale(const Numbers& x, float extreme) {
  Fit best{0.0f, -1.0f};
  for (const float end : kEnds) {
    const Fit tried = fit(x, end / extreme);
    if (tried.gain > best.gain) best = tried;
  }
  return best.scale;
}

void store_codes(const Numbers& x, float inverse, uint32_t* line) {
  for (size_t i = 0; i < kVectors / 2; ++i) {
    const F low = x.rounded(x.of[2 * i], inverse), high = x.rounded(x.of[2 * i + 1], inverse);
    I four[2];
    std::memcpy(&four[0], &low, sizeof low);
    std::memcpy(&four[1], &high, sizeof high);
    const I codes = ((four[0] + 8) & 15) | ((four[1] + 8) & 15) << 4;
    line[i] = static_cast<uint32_t>(codes[0] | codes[1] << 8 | codes[2] << 16 | codes[3] << 24);
  }
}

}  // namespace

bool round_to_four_bits(const float* values, FourBitGroup& out) {
  Numbers x;
  std::memcpy(x.of, values, sizeof x.of);
  const float extreme = extreme_of(x);
  if (!std::isfinite(extreme)) return false;
  const bool tiny = std::fabs(extreme) < kLeast;
  out.scale = tiny ? uint16_t{0} : quant::float_to_f16(best_scale(x, extreme));
  const float scale = f16_to_float(out.scale);
  store_codes(x, scale != 0 ? 1 / scale : 0.0f, out.line);
  return (out.scale & kHalfExponent) != kHalfExponent;
}

}  // namespace dgemma::tensor
