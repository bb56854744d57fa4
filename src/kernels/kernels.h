// Which kernel tables there are, which of them this machine runs, and the choice of one, made once at start.
//
// The table itself is in table.h; cpu.cc asks the processor. Idea: simdjson's implementation list, forceable by name.
// Test: tests/kernels/dispatch_test.cc.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dgemma/result.h"
#include "kernels/table.h"
#include "tensor/dtype.h"

namespace dgemma::kernels {

/// The tables that this machine can run, slowest first; the first is always "scalar".
std::span<const KernelTable* const> available();
/// Names of every table in this build, runnable here or not.
std::span<const char* const> known();
/// "" or "auto": the best one. Errors: kUnsupported, which lists what this machine can run.
Result<const KernelTable*> choose(std::string_view name);
/// CPU features that matter here, space separated, as `dgemma info` prints them ("avx2 fma avx512f ...").
std::string cpu_features();

/// The index in KernelTable::decode of a type; nullopt for the types that it has no decoder for: F32 and BF16, which
/// the products take as they are, F64 and integers.
constexpr std::optional<size_t> decode_index(tensor::DType type) {
  using tensor::DType;
  if (type == DType::kF16) return kDecodeF16;
  if (type < DType::kQ8_0 || type > DType::kIQ4_XS) return std::nullopt;
  return static_cast<size_t>(type) - static_cast<size_t>(DType::kQ8_0);
}
static_assert(decode_index(tensor::DType::kQ8_0) == kDecodeQ8_0 && decode_index(tensor::DType::kQ4_0) == kDecodeQ4_0 &&
              decode_index(tensor::DType::kQ4_1) == kDecodeQ4_1 && decode_index(tensor::DType::kQ5_0) == kDecodeQ5_0 &&
              decode_index(tensor::DType::kQ5_1) == kDecodeQ5_1 && decode_index(tensor::DType::kQ2_K) == kDecodeQ2_K &&
              decode_index(tensor::DType::kQ3_K) == kDecodeQ3_K && decode_index(tensor::DType::kQ4_K) == kDecodeQ4_K &&
              decode_index(tensor::DType::kQ5_K) == kDecodeQ5_K && decode_index(tensor::DType::kQ6_K) == kDecodeQ6_K &&
              decode_index(tensor::DType::kIQ4_NL) == kDecodeIQ4_NL &&
              decode_index(tensor::DType::kIQ4_XS) == kDecodeIQ4_XS);

}  // namespace dgemma::kernels
