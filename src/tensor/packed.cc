// See packed.h.
#include "tensor/packed.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include "tensor/four_bits.h"
#include "tensor/quant/quant.h"

namespace dgemma::tensor {
namespace {

constexpr size_t kLargestBlock = 256;  // values of the largest block format
constexpr uint16_t kLargestHalf = 0x7BFF;

/// The place of one row's data in a superblock.
struct RowInBlock {
  std::byte* superblock;
  size_t row;

  void scale(size_t group, uint16_t half) const {
    std::memcpy(superblock + (group * kPanelRows + row) * sizeof half, &half, sizeof half);
  }
  void code(size_t line, uint32_t four) const {
    std::memcpy(superblock + kScaleBytes + line * kLineBytes + row * sizeof four, &four, sizeof four);
  }
};

// d[2] nibbles[16], byte i holding value i (low) and i + 16 (high), to four dwords of nibbles.
bool copy_q4_0(const std::byte* block, size_t group, RowInBlock out) {
  uint16_t d;
  std::memcpy(&d, block, sizeof d);
  uint32_t code[8];  // code[i]: values 4 i .. 4 i + 3, a byte each
  for (size_t i = 0; i < 4; ++i) {
    uint32_t both;
    std::memcpy(&both, block + 2 + 4 * i, sizeof both);
    code[i] = both & 0x0F0F0F0F;
    code[i + 4] = both >> 4 & 0x0F0F0F0F;
  }
  out.scale(group, d);
  for (size_t i = 0; i < 4; ++i) out.code(4 * group + i, code[2 * i] | code[2 * i + 1] << 4);
  return (d & kHalfExponent) != kHalfExponent;
}

// d[2] q i8[32]
bool copy_q8_0(const std::byte* block, size_t group, RowInBlock out) {
  uint16_t d;
  std::memcpy(&d, block, sizeof d);
  out.scale(group, d);
  for (size_t i = 0; i < 8; ++i) {
    uint32_t four;
    std::memcpy(&four, block + 2 + 4 * i, sizeof four);
    out.code(8 * group + i, four ^ 0x80808080);
  }
  return (d & kHalfExponent) != kHalfExponent;
}

/// The smallest f16 that is at least `value` >= 0.
uint16_t half_at_least(float value) {
  uint16_t half = quant::float_to_f16(value);
  if (half < kLargestHalf && f16_to_float(half) < value) ++half;
  return half;
}

/// 32 floats to 8 bits; those past `count` are zeros. Models are packed whenever they are loaded, so the loops are such
/// that the compiler makes vectors of them: fixed lengths, and floats as integers instead of calls.
bool quantise_group_to_8(const float* values, size_t count, size_t group, RowInBlock out) {
  float padded[kScaleGroup];
  std::fill(std::copy_n(values, count, padded), std::end(padded), 0.0f);
  int32_t top = 0;  // the largest magnitude: bits of floats are in the floats' order, then infinity, then NaN
  for (const float value : padded) top = std::max(top, std::bit_cast<int32_t>(value) & 0x7FFFFFFF);
  const uint16_t half = half_at_least(std::bit_cast<float>(top) / 127.0f);
  const float scale = f16_to_float(half), divisor = scale > 0 ? scale : 1.0f;
  out.scale(group, half);
  // A sum of 1.5 x 2^23 and a quotient is rounded to a whole number, ties to even, that stands in its lowest bits. The
  // scale is rounded up, so no quotient is beyond 127; 128 is the code of 0.
  constexpr float kRound = 12582912.0f + 128.0f;
  uint8_t code[kScaleGroup];
  for (size_t i = 0; i < kScaleGroup; ++i)
    code[i] = static_cast<uint8_t>(std::bit_cast<uint32_t>(padded[i] / divisor + kRound));
  for (size_t line = 0; line < kScaleGroup / 4; ++line) {
    uint32_t four;
    std::memcpy(&four, code + 4 * line, sizeof four);
    out.code(8 * group + line, four);
  }
  return (half & kHalfExponent) != kHalfExponent;
}

/// 32 floats to 4 bits; those past `count` are zeros.
bool quantise_group_to_4(const float* values, size_t count, size_t group, RowInBlock out) {
  float padded[kScaleGroup] = {};
  std::copy_n(values, count, padded);
  FourBitGroup rounded;
  const bool good = round_to_four_bits(padded, rounded);
  out.scale(group, rounded.scale);
  for (size_t i = 0; i < std::size(rounded.line); ++i) out.code(4 * group + i, rounded.line[i]);
  return good;
}

/// One row of a type that has no direct way: decoded a few blocks at a time.
template <class Quantise>
bool quantise_row(const Weight& w, size_t row, size_t superblock_bytes, std::byte* panel, size_t row_in_panel,
                  Quantise quantise) {
  const DTypeInfo& type = info(w.dtype);
  float values[kLargestBlock];
  bool good = true;
  for (size_t first = 0; first < w.cols; first += kLargestBlock) {
    const size_t count = std::min(kLargestBlock, w.cols - first);
    quant::decode(w.dtype, w.row(row) + first / type.block_values * type.block_bytes, count, values);
    for (size_t i = 0; i < count; i += kScaleGroup) {
      const size_t column = first + i;
      const RowInBlock out{panel + column / kSuperblock * superblock_bytes, row_in_panel};
      good &= quantise(values + i, std::min(kScaleGroup, count - i), column / kScaleGroup % 2, out);
    }
  }
  return good;
}

template <class Copy>
bool copy_row(const Weight& w, size_t row, size_t superblock_bytes, std::byte* panel, size_t row_in_panel, Copy copy) {
  const std::byte* from = w.row(row);
  bool good = true;
  for (size_t group = 0; group < w.cols / kScaleGroup; ++group, from += info(w.dtype).block_bytes)
    good &= copy(from, group % 2, RowInBlock{panel + group / 2 * superblock_bytes, row_in_panel});
  return good;
}

/// One row of a panel.
template <size_t kBits>
void unpack(const std::byte* superblock, size_t row, size_t cols, float* out) {
  constexpr bool kFour = kBits == 4;
  for (size_t first = 0; first < cols; first += kSuperblock) {
    float scale[kSuperblock / kScaleGroup];
    for (size_t group = 0; group < std::size(scale); ++group) {
      uint16_t half;
      std::memcpy(&half, superblock + (group * kPanelRows + row) * sizeof half, sizeof half);
      scale[group] = f16_to_float(half);
    }
    const std::byte* codes = superblock + kScaleBytes + row * 4;
    const size_t count = std::min(kSuperblock, cols - first);
    for (size_t i = 0; i < count; ++i) {
      const auto byte = static_cast<int>(codes[i / (kFour ? 8 : 4) * kLineBytes + i % 4]);
      const int code = kFour ? (byte >> (i % 8 / 4 * 4) & 15) - 8 : byte - 128;
      out[first + i] = scale[i / kScaleGroup] * static_cast<float>(code);
    }
    superblock += kFour ? kSuperblockBytes4 : kSuperblockBytes8;
  }
}

}  // namespace

DType packed_type(DType stored) {
  return stored == DType::kQ4_0 || stored == DType::kPacked4 ? DType::kPacked4 : DType::kPacked8;
}

size_t panel_bytes(DType packed, size_t cols) {
  DG_CHECK(packed == DType::kPacked4 || packed == DType::kPacked8, info(packed).name);
  return superblocks_for(cols) * info(packed).block_bytes;
}

bool pack_panel(const Weight& w, DType packed, size_t first, std::byte* panel) {
  const bool four = packed == DType::kPacked4;
  const size_t superblock_bytes = info(packed).block_bytes;
  std::memset(panel, 0, panel_bytes(packed, w.cols));
  bool good = true;
  for (size_t r = 0; r < std::min(kPanelRows, w.rows - first); ++r) {
    if (four && w.dtype == DType::kQ4_0)
      good &= copy_row(w, first + r, superblock_bytes, panel, r, copy_q4_0);
    else if (!four && w.dtype == DType::kQ8_0)
      good &= copy_row(w, first + r, superblock_bytes, panel, r, copy_q8_0);
    else
      good &= quantise_row(w, first + r, superblock_bytes, panel, r, four ? quantise_group_to_4 : quantise_group_to_8);
  }
  return good;
}

void unpack_row(const Weight& w, size_t row, float* out) {
  const std::byte* panel = static_cast<const std::byte*>(w.data) + row / kPanelRows * w.panel_stride;
  if (w.dtype == DType::kPacked4)
    unpack<4>(panel, row % kPanelRows, w.cols, out);
  else
    unpack<8>(panel, row % kPanelRows, w.cols, out);
}

}  // namespace dgemma::tensor
