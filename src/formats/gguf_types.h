// What the two halves of the GGUF reader share: the sizes of metadata scalars. Not for other rooms.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"

namespace dgemma::formats {

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
