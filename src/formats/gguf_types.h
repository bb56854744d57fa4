// What the GGUF reader's halves and the writer share: numbers of types, sizes of metadata scalars. Not for other rooms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "formats/gguf.h"

namespace dgemma::formats {

inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";

/// Tensor types by their number in the file (ggml's enum ggml_type; the packed ones are ours, "DG" and the bits).
inline constexpr std::pair<uint32_t, tensor::DType> kGgufTensorTypes[] = {{0, tensor::DType::kF32},
                                                                          {1, tensor::DType::kF16},
                                                                          {2, tensor::DType::kQ4_0},
                                                                          {3, tensor::DType::kQ4_1},
                                                                          {6, tensor::DType::kQ5_0},
                                                                          {7, tensor::DType::kQ5_1},
                                                                          {8, tensor::DType::kQ8_0},
                                                                          {10, tensor::DType::kQ2_K},
                                                                          {11, tensor::DType::kQ3_K},
                                                                          {12, tensor::DType::kQ4_K},
                                                                          {13, tensor::DType::kQ5_K},
                                                                          {14, tensor::DType::kQ6_K},
                                                                          {20, tensor::DType::kIQ4_NL},
                                                                          {23, tensor::DType::kIQ4_XS},
                                                                          {24, tensor::DType::kI8},
                                                                          {25, tensor::DType::kI16},
                                                                          {26, tensor::DType::kI32},
                                                                          {27, tensor::DType::kI64},
                                                                          {28, tensor::DType::kF64},
                                                                          {30, tensor::DType::kBF16},
                                                                          {0x44470004, tensor::DType::kPacked4},
                                                                          {0x44470008, tensor::DType::kPacked8}};

constexpr std::optional<tensor::DType> gguf_dtype(uint32_t number) {
  for (const auto& [n, type] : kGgufTensorTypes)
    if (n == number) return type;
  return std::nullopt;
}

/// The reverse. Types that GGUF has no number for (unsigned integers) get ~0, which no reader takes.
constexpr uint32_t gguf_number(tensor::DType type) {
  for (const auto& [n, t] : kGgufTensorTypes)
    if (t == type) return n;
  return ~uint32_t{0};
}

/// Bytes of one value of a type of fixed size; 0 for strings, arrays and unknown numbers.
constexpr size_t gguf_scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    default:
      return 0;
  }
}

}  // namespace dgemma::formats
