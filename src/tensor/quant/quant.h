// Quantised formats: slow, exact decoding of every stored type to float, and encoding of the two simplest.
//
// The reference that fast kernels are compared with, and what loading uses to expand a weight. Equal bit for bit to
// numpy's float32 arithmetic in PyPI gguf's quants.py (dequantize, quantize), except that a NaN may have other payload
// bits. Source of the layouts: ggml-common.h; each is drawn at its decoder. Test: tests/tensor/quant_test.cc.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"

namespace dgemma::tensor::quant {

/// True for the types that decode() takes: floats and all block formats; not integers and booleans.
bool can_decode(DType type);

/// Decodes `values` values (whole blocks) from `blocks`, which needs no alignment. Requires can_decode(type).
/// F64 is rounded to float. Threads: pure; ranges of whole blocks may be decoded in parallel.
void decode(DType type, const std::byte* blocks, size_t values, float* out);

/// True for the types that encode() takes: F32, F16, BF16, Q4_0, Q8_0.
bool can_encode(DType type);

/// Encodes `count` values (whole blocks) to storage_bytes(type, count) bytes at `blocks`. Requires finite values and
/// can_encode(type).
void encode(DType type, const float* values, size_t count, std::byte* blocks);

/// Nearest binary16, ties to even; beyond its range infinity; NaN stays NaN.
uint16_t float_to_f16(float value);

}  // namespace dgemma::tensor::quant
