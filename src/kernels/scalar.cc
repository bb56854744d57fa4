// The reference kernels: plain loops in the order that the table promises (table.h), nothing clever.
//
// Slow on purpose and kept for good: every other table is compared with this one. exp and tanh are the C library's.
// Multiply and add round separately (the build has -ffp-contract=off). Test: tests/kernels/*.
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/scalar_int8.h"
#include "kernels/tables.h"
#include "tensor/quant/quant.h"

namespace dgemma::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

float widen(float v) { return v; }
float widen(uint16_t bf16) {
  const uint32_t bits = uint32_t{bf16} << 16;
  float v = 0;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
void narrow(float v, float& out) { out = v; }
void narrow(float v, uint16_t& out) { out = tensor::float_to_bf16(v); }

template <class W>
void product(const W* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride, size_t blocks,
             size_t n, size_t k) {
  for (size_t b = 0; b < blocks; ++b)
    for (size_t row = 0; row < n; ++row) {
      double sum[kLanes] = {};
      for (size_t i = 0; i < k; ++i) {
        const double weight = widen(w[row * ldw + i]);
        for (size_t lane = 0; lane < kLanes; ++lane) sum[lane] += weight * x[b * x_stride + i * kLanes + lane];
      }
      for (size_t lane = 0; lane < kLanes; ++lane)
        c[b * c_stride + row * kLanes + lane] = static_cast<float>(sum[lane]);
    }
}

template <class W>
void weighted_sum(const W* w, size_t ldw, const float* p, size_t p_stride, float* c, size_t c_stride,
                  const float* scale, size_t blocks, size_t n, size_t v) {
  for (size_t b = 0; b < blocks; ++b)
    for (size_t col = 0; col < n; ++col) {
      float* out = c + b * c_stride + col * kLanes;
      double sum[kLanes];
      for (size_t lane = 0; lane < kLanes; ++lane)
        sum[lane] = double{out[lane]} * (scale != nullptr ? scale[b * kLanes + lane] : 1.0f);
      for (size_t i = 0; i < v; ++i) {
        const double weight = widen(w[i * ldw + col]);
        for (size_t lane = 0; lane < kLanes; ++lane) sum[lane] += weight * p[b * p_stride + i * kLanes + lane];
      }
      for (size_t lane = 0; lane < kLanes; ++lane) out[lane] = static_cast<float>(sum[lane]);
    }
}

void round_values(const float* x, size_t count, uint16_t* out) {
  for (size_t i = 0; i < count; ++i) narrow(x[i], out[i]);
}

void round_pairs(const float* x, size_t features, float* out) {
  for (size_t i = 0; i < features; i += 2)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint16_t pair[2] = {tensor::float_to_bf16(x[i * kLanes + lane]),
                                i + 1 < features ? tensor::float_to_bf16(x[(i + 1) * kLanes + lane]) : uint16_t{0}};
      std::memcpy(out + i / 2 * kLanes + lane, pair, sizeof pair);
    }
}

void interleave_rows(const uint16_t* w, size_t ldw, size_t rows, size_t n, uint32_t* out) {
  for (size_t row = 0; row < rows; row += 2, w += 2 * ldw, out += n)
    for (size_t i = 0; i < n; ++i) out[i] = w[i] | (row + 1 < rows ? uint32_t{w[ldw + i]} << 16 : 0);
}

/// sum + the products of two pairs, the high halves first.
float add_pair(const void* w, const void* x, float sum) {
  uint16_t a[2], b[2];
  std::memcpy(a, w, sizeof a);
  std::memcpy(b, x, sizeof b);
  sum += widen(a[1]) * widen(b[1]);
  return sum + widen(a[0]) * widen(b[0]);
}

void product_pairs(const uint16_t* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                   size_t blocks, size_t n, size_t k) {
  for (size_t b = 0; b < blocks; ++b)
    for (size_t row = 0; row < n; ++row) {
      float sum[kLanes] = {};
      for (size_t i = 0; i < k / 2; ++i)
        for (size_t lane = 0; lane < kLanes; ++lane)
          sum[lane] = add_pair(w + row * ldw + 2 * i, x + b * x_stride + i * kLanes + lane, sum[lane]);
      std::memcpy(c + b * c_stride + row * kLanes, sum, sizeof sum);
    }
}

void weighted_sum_pairs(const uint32_t* w, size_t ldw, const float* p, size_t p_stride, float* c, size_t c_stride,
                        const float* scale, size_t blocks, size_t n, size_t v) {
  for (size_t b = 0; b < blocks; ++b)
    for (size_t col = 0; col < n; ++col)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        float& sum = c[b * c_stride + col * kLanes + lane];
        sum *= scale[b * kLanes + lane];
        for (size_t i = 0; i < v / 2; ++i) sum = add_pair(w + i * ldw + col, p + b * p_stride + i * kLanes + lane, sum);
      }
}

void product_rows_pairs(const uint16_t* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                        size_t tokens, size_t n, size_t k) {
  for (size_t t = 0; t < tokens; ++t)
    for (size_t row = 0; row < n; ++row) {
      float sum = 0;
      for (size_t i = 0; i < k / 2; ++i) sum = add_pair(w + row * ldw + 2 * i, x + t * x_stride + i, sum);
      c[t * c_stride + row] = sum;
    }
}

void weighted_sum_rows_pairs(const uint16_t* w, size_t ldw, const float* p, float* c, size_t c_stride,
                             const float* scale, size_t tokens, size_t n, size_t v) {
  for (size_t t = 0; t < tokens; ++t)
    for (size_t col = 0; col < n; ++col) {
      float& sum = c[t * c_stride + col];
      sum *= scale[t];
      for (size_t i = 0; i < v; i += 2) {
        const uint16_t pair[2] = {w[i * ldw + col], i + 1 < v ? w[(i + 1) * ldw + col] : uint16_t{0}};
        sum = add_pair(pair, p + i / 2 * kLanes + t, sum);
      }
    }
}

void rms_norm(const float* x, const float* weight, float eps, float* out, size_t features) {
  float scale[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    float part[8] = {};
    for (size_t d = 0; d < features; ++d) part[d % 8] += x[d * kLanes + lane] * x[d * kLanes + lane];
    const float sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    scale[lane] = 1.0f / std::sqrt(sum / static_cast<float>(features) + eps);
  }
  for (size_t d = 0; d < features; ++d)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float v = x[d * kLanes + lane] * scale[lane];
      out[d * kLanes + lane] = weight != nullptr ? v * weight[d] : v;
    }
}

void add_scaled(float* x, const float* y, float scale, size_t features) {
  for (size_t i = 0; i < features * kLanes; ++i) x[i] = (x[i] + y[i]) * scale;
}

void scale_lanes(float* x, const float* factor, size_t features) {
  for (size_t i = 0; i < features * kLanes; ++i) x[i] *= factor[i % kLanes];
}

void add_weighted(const float* x, const float* weight, float* sum, size_t features) {
  for (size_t i = 0; i < features * kLanes; ++i) sum[i] += weight[i % kLanes] * x[i];
}

void scale_features(float* x, const float* factor, size_t features) {
  for (size_t i = 0; i < features * kLanes; ++i) x[i] *= factor[i / kLanes];
}

float gelu_tanh(float v) {
  constexpr float kSqrt2OverPi = 0.79788456080286535588f;
  constexpr float kCubic = 0.044715f;
  return 0.5f * v * (1.0f + std::tanh(kSqrt2OverPi * (v + kCubic * (v * v * v))));
}

void gelu_mul(const float* gate, const float* up, float* out, size_t features) {
  for (size_t i = 0; i < features * kLanes; ++i) out[i] = gelu_tanh(gate[i]) * up[i];
}

void rope(float* x, const float* cos, const float* sin, size_t half) {
  for (size_t i = 0; i < half * kLanes; ++i) {
    float* second = x + half * kLanes;
    const float a = x[i], b = second[i];
    x[i] = a * cos[i] - b * sin[i];
    second[i] = b * cos[i] + a * sin[i];
  }
}

void softcap(float* x, float cap, float scale, size_t features) {
  for (size_t i = 0; i < features * kLanes; ++i) x[i] = cap * std::tanh(x[i] / cap) * scale;
}

// One lane of softmax_tile. An empty softmax (max = -inf) has sum 0, so the shift of its statistics is 0, not
// 0 * infinity; a masked logit adds exp(-inf) * -inf = 0 to `weighted`, not a NaN.
void softmax_lane(float* z, size_t count, int32_t first, size_t lane, SoftmaxLanes* stats, float* rescale,
                  double* tile_sum) {
  const float old_max = stats->max[lane];
  float max = old_max;
  for (size_t i = 0; i < count; ++i)
    if (z[i * kLanes + lane] > max) {
      max = z[i * kLanes + lane];
      stats->best[lane] = first + static_cast<int32_t>(i);
    }
  const bool empty = max == -kInfinity;
  double sum = 0, weighted = 0;
  for (size_t i = 0; i < count; ++i) {
    float& v = z[i * kLanes + lane];
    const float shifted = v - max;
    const bool masked = empty || v == -kInfinity;
    v = masked ? 0.0f : std::exp(shifted);
    sum += v;
    if (!masked) weighted += static_cast<double>(v) * shifted;
  }
  const bool had = old_max != -kInfinity;
  const float factor = empty ? 1.0f : had ? std::exp(old_max - max) : 0.0f;
  if (had) {
    const double shift = static_cast<double>(old_max) - max;
    weighted += (stats->weighted[lane] + shift * stats->sum[lane]) * factor;
    stats->sum[lane] = stats->sum[lane] * factor + sum;
  } else {
    stats->sum[lane] = sum;
  }
  stats->weighted[lane] = weighted;
  stats->max[lane] = max;
  rescale[lane] = factor;
  if (tile_sum != nullptr) tile_sum[lane] = sum;
}

void softmax_tile(float* z, size_t count, int32_t first, SoftmaxLanes* stats, float* rescale, double* tile_sum) {
  for (size_t lane = 0; lane < kLanes; ++lane) softmax_lane(z, count, first, lane, stats, rescale, tile_sum);
}

void softmax_pairs(float* z, size_t count, SoftmaxLanes* stats, float* rescale, float* pairs) {
  SoftmaxLanes all = *stats;
  softmax_tile(z, count, 0, &all, rescale, nullptr);
  std::memcpy(stats->max, all.max, sizeof all.max);
  std::memcpy(stats->sum, all.sum, sizeof all.sum);
  round_pairs(z, count, pairs);
}

void gather_rows(const float* const* rows, float* out, size_t features) {
  for (size_t d = 0; d < features; ++d)
    for (size_t lane = 0; lane < kLanes; ++lane) out[d * kLanes + lane] = rows[lane][d];
}

void sum_rows(const float* const* rows, const float* weight, size_t count, float* out, size_t features) {
  for (size_t d = 0; d < features; ++d) {
    out[d] = 0;
    for (size_t i = 0; i < count; ++i) out[d] += weight[i] * rows[i][d];
  }
}

template <class W>
void lanes_to_rows(const float* x, size_t features, W* out, size_t out_stride, size_t rows) {
  for (size_t r = 0; r < rows; ++r)
    for (size_t d = 0; d < features; ++d) narrow(x[d * kLanes + r], out[r * out_stride + d]);
}

template <class W>
void rows_to_lanes(const W* const* rows, float scale, float* x, size_t features) {
  for (size_t r = 0; r < kLanes; ++r)
    for (size_t d = 0; d < features; ++d) x[d * kLanes + r] = rows[r] != nullptr ? widen(rows[r][d]) * scale : 0.0f;
}

constexpr tensor::DType type_of(DecodeFormat format) {
  if (format == kDecodeF16) return tensor::DType::kF16;
  return static_cast<tensor::DType>(static_cast<size_t>(tensor::DType::kQ8_0) + format);
}

}  // namespace

template <DecodeFormat kFormat>
void decode_exactly(const uint8_t* blocks, size_t values, float* out) {
  tensor::quant::decode(type_of(kFormat), reinterpret_cast<const std::byte*>(blocks), values, out);
}
template void decode_exactly<kDecodeQ8_0>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ4_0>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ4_1>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ5_0>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ5_1>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ2_K>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ3_K>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ4_K>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ5_K>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeQ6_K>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeIQ4_NL>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeIQ4_XS>(const uint8_t*, size_t, float*);
template void decode_exactly<kDecodeF16>(const uint8_t*, size_t, float*);

namespace {

double peak_f32(size_t rounds) {
  constexpr size_t kChains = 8;
  double sum[kChains] = {}, one = 1;
  for (size_t round = 0; round < rounds; ++round)
    for (double& s : sum) {
      __asm__ volatile("" : "+m"(one));
      s += one * one;
    }
  for (const double s : sum)
    if (s != static_cast<double>(rounds)) return 0;
  return 2.0 * kChains * static_cast<double>(rounds);
}

constexpr KernelTable kTable = {
    .name = "scalar",
    .product_f32 = product<float>,
    .product_bf16 = product<uint16_t>,
    .weighted_sum_f32 = weighted_sum<float>,
    .weighted_sum_bf16 = weighted_sum<uint16_t>,
    .decode = DG_DECODERS,
    .quantise = quantise_exactly,
    .quantised_together = 64,
    .product_packed4 = product_packed_exactly<4>,
    .product_packed8 = product_packed_exactly<8>,
    .row_scales4 = row_scales_exactly<4>,
    .row_scales8 = row_scales_exactly<8>,
    .transpose_packed4 = transpose_packed_exactly<4>,
    .transpose_packed8 = transpose_packed_exactly<8>,
    .quantise_probabilities = quantise_probabilities_exactly,
    .rescale_probabilities = rescale_probabilities_exactly,
    .weighted_sum_packed4 = weighted_sum_packed_exactly<4>,
    .weighted_sum_packed8 = weighted_sum_packed_exactly<8>,
    .round_values = round_values,
    .round_pairs = round_pairs,
    .interleave_rows = interleave_rows,
    .product_pairs = product_pairs,
    .weighted_sum_pairs = weighted_sum_pairs,
    .product_rows_pairs = product_rows_pairs,
    .weighted_sum_rows_pairs = weighted_sum_rows_pairs,
    .peak_f32 = peak_f32,
    .peak_bf16 = peak_f32,
    .peak_int8 = peak_int8_plainly,
    .rms_norm = rms_norm,
    .add_scaled = add_scaled,
    .scale_lanes = scale_lanes,
    .add_weighted = add_weighted,
    .scale_features = scale_features,
    .gelu_mul = gelu_mul,
    .rope = rope,
    .softcap = softcap,
    .softmax_tile = softmax_tile,
    .softmax_pairs = softmax_pairs,
    .gather_rows = gather_rows,
    .sum_rows = sum_rows,
    .lanes_to_rows_f32 = lanes_to_rows<float>,
    .lanes_to_rows_bf16 = lanes_to_rows<uint16_t>,
    .rows_to_lanes_f32 = rows_to_lanes<float>,
    .rows_to_lanes_bf16 = rows_to_lanes<uint16_t>,
};

}  // namespace

const KernelTable* scalar_table() { return &kTable; }

}  // namespace dgemma::kernels
