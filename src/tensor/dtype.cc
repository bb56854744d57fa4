// See dtype.h.
#include "tensor/dtype.h"

#include <array>
#include <bit>
#include <cmath>

#include "base/check.h"
#include "tensor/packed_layout.h"

namespace dgemma::tensor {
namespace {

constexpr std::array<DTypeInfo, 27> kTypes = {{
    {DType::kF32, "F32", 1, 4},
    {DType::kF16, "F16", 1, 2},
    {DType::kBF16, "BF16", 1, 2},
    {DType::kF64, "F64", 1, 8},
    {DType::kI8, "I8", 1, 1},
    {DType::kI16, "I16", 1, 2},
    {DType::kI32, "I32", 1, 4},
    {DType::kI64, "I64", 1, 8},
    {DType::kU8, "U8", 1, 1},
    {DType::kU16, "U16", 1, 2},
    {DType::kU32, "U32", 1, 4},
    {DType::kU64, "U64", 1, 8},
    {DType::kBool, "BOOL", 1, 1},
    {DType::kQ8_0, "Q8_0", 32, 34},
    {DType::kQ4_0, "Q4_0", 32, 18},
    {DType::kQ4_1, "Q4_1", 32, 20},
    {DType::kQ5_0, "Q5_0", 32, 22},
    {DType::kQ5_1, "Q5_1", 32, 24},
    {DType::kQ2_K, "Q2_K", 256, 84},
    {DType::kQ3_K, "Q3_K", 256, 110},
    {DType::kQ4_K, "Q4_K", 256, 144},
    {DType::kQ5_K, "Q5_K", 256, 176},
    {DType::kQ6_K, "Q6_K", 256, 210},
    {DType::kIQ4_NL, "IQ4_NL", 32, 18},
    {DType::kIQ4_XS, "IQ4_XS", 256, 136},
    {DType::kPacked4, "PACKED4", kPanelRows* kSuperblock, kSuperblockBytes4},
    {DType::kPacked8, "PACKED8", kPanelRows* kSuperblock, kSuperblockBytes8},
}};

constexpr bool in_enum_order() {
  for (size_t i = 0; i < kTypes.size(); ++i)
    if (static_cast<size_t>(kTypes[i].type) != i) return false;
  return true;
}
static_assert(in_enum_order(), "info() indexes the table by the enum");

}  // namespace

const DTypeInfo& info(DType type) {
  const auto index = static_cast<size_t>(type);
  DG_CHECK(index < kTypes.size(), "type ", index);
  return kTypes[index];
}

std::optional<uint64_t> storage_bytes(DType type, uint64_t values) {
  const DTypeInfo& t = info(type);
  uint64_t bytes = 0;
  if (values % t.block_values != 0) return std::nullopt;
  if (__builtin_mul_overflow(values / t.block_values, uint64_t{t.block_bytes}, &bytes)) return std::nullopt;
  return bytes;
}

float f16_to_float(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = (bits >> 10) & 0x1F;
  const uint32_t fraction = bits & 0x3FF;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in binary32
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t wide = exponent == 31 ? 0x7F800000u : (exponent + 112) << 23;
  return std::bit_cast<float>(sign | wide | fraction << 13);
}

uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

}  // namespace dgemma::tensor
