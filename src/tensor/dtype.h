// DType: how numbers are stored in model files, with the block geometry of the quantised formats.
//
// One enum for safetensors and GGUF; a block is `block_values` consecutive values of one row stored in `block_bytes`.
// Source of the block sizes: ggml's ggml-common.h and the PyPI package gguf (GGML_QUANT_SIZES). Decoding lives in
// tensor/quant. Test: tests/tensor/dtype_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace dgemma::tensor {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kI16,
  kI32,
  kI64,
  kU8,
  kU16,
  kU32,
  kU64,
  kBool,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  // Our own layout (tensor/packed.h): a block is 16 rows by 64 columns.
  kPacked4,
  kPacked8,
};

struct DTypeInfo {
  DType type;
  std::string_view name;  ///< "F32", "Q4_K": as `dgemma inspect` prints it
  uint32_t block_values;
  uint32_t block_bytes;
};

/// The row of the table for `type`.
const DTypeInfo& info(DType type);

/// Bytes of `values` consecutive values; nullopt where they are not whole blocks or the size overflows.
std::optional<uint64_t> storage_bytes(DType type, uint64_t values);

/// True for the layout of tensor/packed.h, whose blocks are not runs of one row.
constexpr bool is_packed(DType type) { return type == DType::kPacked4 || type == DType::kPacked8; }

inline float bf16_to_float(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  __builtin_memcpy(&value, &wide, sizeof value);
  return value;
}

/// IEEE 754 binary16 to float, exact; infinities and NaN kept.
float f16_to_float(uint16_t bits);

/// Nearest bf16, ties to even; NaN stays NaN.
uint16_t float_to_bf16(float value);

}  // namespace dgemma::tensor
