// The tables of this build, one getter for each file that is compiled for an instruction set.
//
// Not for other rooms: they take a table from kernels.h, which knows what the machine can run. Calling a getter is
// always safe (it returns the address of constant data); calling the kernels in it is not.
#pragma once

#include "kernels/table.h"

namespace dgemma::kernels {

const KernelTable* scalar_table();
#if defined(__x86_64__)
const KernelTable* sse2_table();
const KernelTable* avx2_table();
const KernelTable* avxvnni_table();
const KernelTable* avx512_table();
const KernelTable* avx512vnni_table();
const KernelTable* avx512bf16_table();
const KernelTable* amx_table();
const KernelTable* amxbf16_table();
#elif defined(__aarch64__)
const KernelTable* neon_table();
const KernelTable* neondot_table();
const KernelTable* neoni8mm_table();
const KernelTable* neonbf16_table();
#endif

/// The decoder of every table that has no faster one: tensor::quant::decode.
template <DecodeFormat kFormat>
void decode_exactly(const uint8_t* blocks, size_t values, float* out);
#define DG_DECODERS                                                                                \
  {                                                                                                \
    decode_exactly<kDecodeQ8_0>, decode_exactly<kDecodeQ4_0>, decode_exactly<kDecodeQ4_1>,         \
        decode_exactly<kDecodeQ5_0>, decode_exactly<kDecodeQ5_1>, decode_exactly<kDecodeQ2_K>,     \
        decode_exactly<kDecodeQ3_K>, decode_exactly<kDecodeQ4_K>, decode_exactly<kDecodeQ5_K>,     \
        decode_exactly<kDecodeQ6_K>, decode_exactly<kDecodeIQ4_NL>, decode_exactly<kDecodeIQ4_XS>, \
        decode_exactly<kDecodeF16>                                                                 \
  }

// The integer kernels in plain loops: of the scalar table, and what the others are compared with.
template <int kBits>
void product_packed_exactly(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c,
                            size_t c_stride, const float* scale, size_t tokens, size_t n, size_t k);
double peak_int8_plainly(size_t rounds);
/// How many steps of a transposed code one step of a weight's code is, before the scales are folded in: 4 bits fill 8.
template <int kBits>
inline constexpr int kTransposeUnit = kBits == 4 ? 16 : 1;

}  // namespace dgemma::kernels
