// The reference integer kernels: plain loops over the layouts of tensor/packed_layout.h, in the order that table.h
// promises, nothing clever. The folded ones define what tables with tiles compute (scalar_int8.h).
//
// Slow on purpose and kept for good; sse2 has no others for the products.
// Tests: tests/kernels/packed_test.cc, tests/kernels/folded_test.cc.
#include "kernels/scalar_int8.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/packed_layout.h"

namespace dgemma::kernels {
namespace {

using tensor::kLineBytes;
using tensor::kPanelRows;
using tensor::kQuantisedRows;
using tensor::kScaleBytes;
using tensor::kScaleGroup;
using tensor::kSuperblock;

constexpr size_t kLanes = 16;
constexpr size_t kGroups = kSuperblock / kScaleGroup;
constexpr float kLeastMagnitude = 1e-36f;  // of a group's largest value: below, 127 / largest could overflow

template <int kBits>
constexpr size_t superblock_bytes() {
  return kBits == 4 ? tensor::kSuperblockBytes4 : tensor::kSuperblockBytes8;
}

/// The f16 scale of a row's group. Packing writes finite ones; a broken file's infinities count as 65536 and more here,
/// so that they give wrong numbers and no undefined ones.
float scale_of(const uint8_t* superblock, size_t group, size_t row) {
  uint16_t half;
  std::memcpy(&half, superblock + (group * kPanelRows + row) * sizeof half, sizeof half);
  const float magnitude = std::bit_cast<float>(uint32_t{half & 0x7FFFu} << 13) * 0x1p112f;
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

/// The code of a superblock's column, without its offset.
template <int kBits>
int code_of(const uint8_t* superblock, size_t row, size_t column) {
  const size_t line = column / (kBits == 4 ? 8 : 4);
  const int byte = superblock[kScaleBytes + line * kLineBytes + row * 4 + column % 4];
  return kBits == 4 ? (byte >> (column % 8 / 4 * 4) & 15) - 8 : byte - 128;
}

int value_of(const float* quantised, size_t feature, size_t lane) {
  const auto* values = reinterpret_cast<const int8_t*>(quantised + 2 * kGroups * kLanes);
  return values[feature / 4 * kLineBytes + lane * 4 + feature % 4];
}

/// The largest magnitude of `features` features; infinite or NaN where one of them is.
float largest_magnitude(const float* x, size_t features, size_t lane) {
  uint32_t bits = 0;  // magnitudes are ordered like their bits, and a NaN is above them all
  for (size_t i = 0; i < features; ++i)
    bits = std::max(bits, std::bit_cast<uint32_t>(x[i * kLanes + lane]) & 0x7FFFFFFFu);
  return std::bit_cast<float>(bits);
}

/// The features 32 g .. of x that there are, to group g of a superblock, in steps of largest / 127.
void quantise_group(const float* x, size_t features, float largest, size_t group, size_t lane, float* superblock) {
  const float inverse = largest > kLeastMagnitude ? 127.0f / largest : 0.0f;
  superblock[group * kLanes + lane] =
      std::bit_cast<float>(std::bit_cast<uint32_t>(largest / 127.0f) & tensor::kQuantisedScaleMask);
  auto* values = reinterpret_cast<int8_t*>(superblock + 2 * kGroups * kLanes);
  int32_t sum = 0;
  for (size_t i = 0; i < kScaleGroup; ++i) {
    const float scaled = i < features ? x[i * kLanes + lane] * inverse : 0.0f;
    const auto value = static_cast<int8_t>(std::isfinite(scaled) ? std::nearbyint(scaled) : 0.0f);
    const size_t feature = group * kScaleGroup + i;
    values[feature / 4 * kLineBytes + lane * 4 + feature % 4] = value;
    sum += value;
  }
  const int32_t start = static_cast<int32_t>(tensor::kSumOrigin) - 8 * sum;
  std::memcpy(superblock + (kGroups + group) * kLanes + lane, &start, sizeof start);
}

/// kShared: the features that share a scale, one or more groups.
template <size_t kShared>
void quantise(const float* x, size_t features, float* out) {
  for (size_t i = 0; i < tensor::superblocks_for(features) * kSuperblock; i += kScaleGroup)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t shared = std::min(features, i / kShared * kShared), begin = std::min(features, i);
      const float largest = largest_magnitude(x + shared * kLanes, std::min(kShared, features - shared), lane);
      quantise_group(x + begin * kLanes, std::min(kScaleGroup, features - begin), largest,
                     i % kSuperblock / kScaleGroup, lane, out + i / kSuperblock * kQuantisedRows * kLanes);
    }
}

}  // namespace

void quantise_exactly(const float* x, size_t features, float* out) { quantise<kScaleGroup>(x, features, out); }

void quantise_by_fold_exactly(const float* x, size_t features, float* out) {
  quantise<tensor::kFold>(x, features, out);
}

template <int kBits>
void product_packed_exactly(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c,
                            size_t c_stride, const float* scale, size_t tokens, size_t n, size_t k) {
  for (size_t b = 0; b * kLanes < tokens; ++b)
    for (size_t row = 0; row < n; ++row)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        float& out = c[b * c_stride + row * kLanes + lane];
        float total = scale != nullptr ? out * scale[b * kLanes + lane] : 0.0f;
        for (size_t group = 0; group < kGroups * tensor::superblocks_for(k); ++group) {
          const size_t index = group / kGroups, g = group % kGroups;
          const uint8_t* weights = w + row / kPanelRows * panel_stride + index * superblock_bytes<kBits>();
          const float* values = x + b * x_stride + index * kQuantisedRows * kLanes;
          int32_t sum = 0;
          for (size_t column = g * kScaleGroup; column < (g + 1) * kScaleGroup; ++column)
            sum += code_of<kBits>(weights, row % kPanelRows, column) * value_of(values, column, lane);
          total += static_cast<float>(sum) * values[g * kLanes + lane] * scale_of(weights, g, row % kPanelRows);
        }
        out = total;
      }
}

namespace {

constexpr size_t kFoldSuperblocks = tensor::kFold / kSuperblock;  // superblocks

/// The folded codes of one row of up to kFoldSuperblocks superblocks, and their scale.
template <int kBits>
struct FoldedRow {
  int code[tensor::kFold];
  float scale;

  FoldedRow(const uint8_t* superblocks, size_t count, size_t row) {
    constexpr float kUnits = kBits == 4 ? 120.0f : 128.0f;  // the ratio of the group with the largest scale
    constexpr int kShift = kBits == 4 ? 3 : 7;
    float largest = 0;
    for (size_t i = 0; i < count * kGroups; ++i)
      largest = std::max(largest,
                         std::fabs(scale_of(superblocks + i / kGroups * superblock_bytes<kBits>(), i % kGroups, row)));
    const float inverse = largest > 0 ? kUnits / largest : 0.0f;
    scale = largest * (kBits == 4 ? 1.0f / 15.0f : 1.0f);
    for (size_t i = 0; i < count * kSuperblock; ++i) {
      const uint8_t* superblock = superblocks + i / kSuperblock * superblock_bytes<kBits>();
      const size_t column = i % kSuperblock;
      const auto ratio = static_cast<int>(std::nearbyint(scale_of(superblock, column / kScaleGroup, row) * inverse));
      const int product = code_of<kBits>(superblock, row, column) * ratio;
      code[i] = std::min(127, (product + (1 << (kShift - 1))) >> kShift);
    }
  }
};

}  // namespace

template <int kBits>
void product_folded_exactly(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c,
                            size_t c_stride, const float* scale, size_t tokens, size_t n, size_t k) {
  for (size_t row = 0; row < n; ++row)
    for (size_t s = 0; s < tensor::superblocks_for(k); s += kFoldSuperblocks) {
      const uint8_t* superblocks = w + row / kPanelRows * panel_stride + s * superblock_bytes<kBits>();
      const size_t count = std::min(kFoldSuperblocks, tensor::superblocks_for(k) - s);
      const FoldedRow<kBits> weights(superblocks, count, row % kPanelRows);
      for (size_t token = 0; token < tokens; ++token) {
        const size_t block = token / kLanes, lane = token % kLanes;
        const float* values = x + block * x_stride + s * kQuantisedRows * kLanes;
        float& total = c[block * c_stride + row * kLanes + lane];
        if (s == 0) total = scale != nullptr ? total * scale[token] : 0.0f;
        int32_t sum = 0;
        for (size_t i = 0; i < count * kSuperblock; ++i)
          sum += weights.code[i] * value_of(values + i / kSuperblock * kQuantisedRows * kLanes, i % kSuperblock, lane);
        total = std::fma(static_cast<float>(sum) * values[lane], weights.scale, total);
      }
    }
}

// A row's codes are brought to one scale: ratio = 254 scale / largest scale, code = (unit code * ratio + 128) / 256
// rounded down, where unit is 16 for 4-bit codes, so that they use the range. 254 keeps every product inside int16.
double peak_int8_plainly(size_t rounds) {
  constexpr size_t kChains = 4;
  int32_t sum[kChains] = {}, one = 1;
  for (size_t round = 0; round < rounds; ++round)
    for (int32_t& s : sum) {
      __asm__ volatile("" : "+r"(one), "+r"(s));
      s += one * one;
    }
  for (const int32_t s : sum)
    if (s != static_cast<int32_t>(rounds)) return 0;
  return 2.0 * kChains * static_cast<double>(rounds);
}

template <int kBits>
void row_scales_exactly(const uint8_t* w, size_t panel_stride, size_t panels, size_t k, float* row_scale) {
  for (size_t row = 0; row < panels * kPanelRows; ++row) {
    const uint8_t* from = w + row / kPanelRows * panel_stride;
    float largest = 0;
    for (size_t i = 0; i < tensor::superblocks_for(k) * kGroups; ++i)
      largest = std::max(
          largest, std::fabs(scale_of(from + i / kGroups * superblock_bytes<kBits>(), i % kGroups, row % kPanelRows)));
    row_scale[row] = largest * (256.0f / 254.0f / kTransposeUnit<kBits>);
  }
}

template <int kBits>
void transpose_packed_exactly(const uint8_t* w, size_t panel_stride, size_t panels, const float* row_scale,
                              uint8_t* out, size_t out_stride) {
  constexpr int kUnit = kTransposeUnit<kBits>;
  constexpr uint16_t kHalfOne = 0x3C00;
  for (size_t panel = 0; panel < kSuperblock / kPanelRows; ++panel) {
    uint8_t* to = out + panel * out_stride;
    for (size_t i = 0; i < kGroups * kPanelRows; ++i) std::memcpy(to + 2 * i, &kHalfOne, sizeof kHalfOne);
    std::memset(to + kScaleBytes, 128, tensor::kSuperblockBytes8 - kScaleBytes);
  }
  for (size_t row = 0; row < panels * kPanelRows; ++row) {
    const uint8_t* superblock = w + row / kPanelRows * panel_stride;
    const float factor = row_scale[row] > 0 ? (256.0f / kUnit) / row_scale[row] : 0;
    for (size_t column = 0; column < kSuperblock; ++column) {
      const float scale = scale_of(superblock, column / kScaleGroup, row % kPanelRows);
      const int ratio = static_cast<int>(std::nearbyint(scale * factor));
      const int code = (code_of<kBits>(superblock, row % kPanelRows, column) * kUnit * ratio + 128) >> 8;
      out[column / kPanelRows * out_stride + kScaleBytes + row / 4 * kLineBytes + column % kPanelRows * 4 + row % 4] =
          static_cast<uint8_t>(code + 128);
    }
  }
}

void quantise_probabilities_exactly(const float* p, const float* row_scale, size_t v, float* out) {
  float scaled[kSuperblock * kLanes];
  for (size_t first = 0; first < v; first += kSuperblock, out += kQuantisedRows * kLanes) {
    const size_t count = std::min(kSuperblock, v - first);
    for (size_t i = 0; i < count * kLanes; ++i) scaled[i] = p[first * kLanes + i] * row_scale[first + i / kLanes];
    quantise_exactly(scaled, count, out);
  }
}

void rescale_probabilities_exactly(float* prepared, const float* factor, size_t v) {
  for (size_t s = 0; s < tensor::superblocks_for(v); ++s, prepared += kQuantisedRows * kLanes)
    for (size_t i = 0; i < kGroups * kLanes; ++i)
      prepared[i] =
          std::bit_cast<float>(std::bit_cast<uint32_t>(prepared[i] * factor[i % kLanes]) & tensor::kQuantisedScaleMask);
}

template <int kBits>
void weighted_sum_packed_exactly(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p,
                                 size_t p_stride, float* c, size_t c_stride, const float* scale, size_t blocks,
                                 size_t n, size_t v) {
  constexpr float kOnes[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  constexpr size_t kStride = tensor::kSuperblockBytes8;
  uint8_t turned[kSuperblock / kPanelRows * kStride];  // [64 columns, 64 rows]
  for (size_t column = 0; column < n; column += kSuperblock, w += superblock_bytes<kBits>())
    for (size_t row = 0; row < v; row += kSuperblock) {
      const size_t rows = std::min(kSuperblock, v - row), panels = (rows + kPanelRows - 1) / kPanelRows;
      transpose_packed_exactly<kBits>(w + row / kPanelRows * panel_stride, panel_stride, panels, row_scale + row,
                                      turned, kStride);
      for (size_t b = 0; b < blocks; ++b)
        product_packed_exactly<8>(turned, kStride, p + b * p_stride + row / kSuperblock * kQuantisedRows * kLanes, 0,
                                  c + b * c_stride + column * kLanes, 0,
                                  row == 0 && scale != nullptr ? scale + b * kLanes : kOnes, kLanes,
                                  std::min(kSuperblock, n - column), rows);
    }
}

void quantise_probabilities_by_run(const float* p, const float* row_scale, size_t v, float* out) {
  std::memset(out, 0, tensor::superblocks_for(v) * kQuantisedRows * kLanes * sizeof(float));
  for (size_t first = 0; first < v; first += kSummedRun)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t count = std::min(kSummedRun, v - first);
      float scaled[kSummedRun * kLanes];
      for (size_t i = 0; i < count; ++i) scaled[i * kLanes] = p[(first + i) * kLanes + lane] * row_scale[first + i];
      const float largest = largest_magnitude(scaled, count, 0);
      const float inverse = largest > kLeastMagnitude ? 255.0f / largest : 0.0f;
      for (size_t i = 0; i < count; ++i) {
        float* superblock = out + (first + i) / kSuperblock * kQuantisedRows * kLanes;
        for (size_t group = 0; group < kGroups; ++group) superblock[group * kLanes + lane] = largest / 255.0f;
        const float value = std::isfinite(largest) ? std::nearbyint(scaled[i * kLanes] * inverse) : 0.0f;
        const size_t row = i % kSuperblock;
        reinterpret_cast<uint8_t*>(superblock + 2 * kGroups * kLanes)[row / 4 * kLineBytes + lane * 4 + row % 4] =
            static_cast<uint8_t>(value);
      }
    }
}

/// A code brought to its row's scale.
template <int kBits>
int code_of_row(const uint8_t* superblock, size_t row, size_t column, float row_scale) {
  constexpr int kUnit = kTransposeUnit<kBits>;
  const float inverse = row_scale > 0 ? (32768.0f / kUnit) / row_scale : 0;
  const int ratio = static_cast<int>(std::nearbyint(scale_of(superblock, column / kScaleGroup, row) * inverse));
  const int product = (code_of<kBits>(superblock, row, column) * (256 * kUnit) * ratio + (1 << 14)) >> 15;
  return (product + 128) >> 8;
}

template <int kBits>
void weighted_sum_folded_exactly(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p,
                                 size_t p_stride, float* c, size_t c_stride, const float* scale, size_t blocks,
                                 size_t n, size_t v) {
  for (size_t column = 0; column < n; ++column)
    for (size_t first = 0; first < v; first += kSummedRun) {
      int code[kSummedRun];
      const size_t count = std::min(kSummedRun, v - first);
      for (size_t i = 0; i < count; ++i)
        code[i] = code_of_row<kBits>(
            w + (first + i) / kPanelRows * panel_stride + column / kSuperblock * superblock_bytes<kBits>(),
            i % kPanelRows, column % kSuperblock, row_scale[first + i]);
      for (size_t b = 0; b < blocks; ++b)
        for (size_t lane = 0; lane < kLanes; ++lane) {
          const float* run = p + b * p_stride + first / kSuperblock * kQuantisedRows * kLanes;
          int32_t sum = 0;
          for (size_t i = 0; i < count; ++i)
            sum += code[i] * static_cast<uint8_t>(
                                 value_of(run + i / kSuperblock * kQuantisedRows * kLanes, i % kSuperblock, lane));
          float& total = c[b * c_stride + column * kLanes + lane];
          if (first == 0 && scale != nullptr) total *= scale[b * kLanes + lane];
          total = std::fma(static_cast<float>(sum), run[lane], total);
        }
    }
}

template void weighted_sum_packed_exactly<4>(const uint8_t*, size_t, const float*, const float*, size_t, float*, size_t,
                                             const float*, size_t, size_t, size_t);
template void weighted_sum_packed_exactly<8>(const uint8_t*, size_t, const float*, const float*, size_t, float*, size_t,
                                             const float*, size_t, size_t, size_t);
template void weighted_sum_folded_exactly<4>(const uint8_t*, size_t, const float*, const float*, size_t, float*, size_t,
                                             const float*, size_t, size_t, size_t);
template void weighted_sum_folded_exactly<8>(const uint8_t*, size_t, const float*, const float*, size_t, float*, size_t,
                                             const float*, size_t, size_t, size_t);
template void product_packed_exactly<4>(const uint8_t*, size_t, const float*, size_t, float*, size_t, const float*,
                                        size_t, size_t, size_t);
template void product_packed_exactly<8>(const uint8_t*, size_t, const float*, size_t, float*, size_t, const float*,
                                        size_t, size_t, size_t);
template void product_folded_exactly<4>(const uint8_t*, size_t, const float*, size_t, float*, size_t, const float*,
                                        size_t, size_t, size_t);
template void product_folded_exactly<8>(const uint8_t*, size_t, const float*, size_t, float*, size_t, const float*,
                                        size_t, size_t, size_t);
template void row_scales_exactly<4>(const uint8_t*, size_t, size_t, size_t, float*);
template void row_scales_exactly<8>(const uint8_t*, size_t, size_t, size_t, float*);
template void transpose_packed_exactly<4>(const uint8_t*, size_t, size_t, const float*, uint8_t*, size_t);
template void transpose_packed_exactly<8>(const uint8_t*, size_t, size_t, const float*, uint8_t*, size_t);

}  // namespace dgemma::kernels
