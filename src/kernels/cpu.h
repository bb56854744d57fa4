// What the processor can do and the operating system lets us use.
//
// Detected once, in cpu.cc; which table needs what stands in dispatch.cc. Test: tests/kernels/dispatch_test.cc.
#pragma once

#include <string>

namespace dgemma::kernels {

/// Features that some table needs or that `dgemma info` shows. All false on a processor family that we do not know.
struct Cpu {
  bool sse2 = false, avx2 = false, fma = false, f16c = false, avx_vnni = false;
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false;
  bool avx512_vnni = false, avx512_vbmi = false, avx512_bf16 = false;
  bool amx_tile = false, amx_int8 = false, amx_bf16 = false;
  bool neon = false, dotprod = false, i8mm = false, arm_bf16 = false, sve = false;
};

/// The processor that runs this program.
const Cpu& cpu();
/// The names of the features that are there, space separated.
std::string feature_names(const Cpu& cpu);

}  // namespace dgemma::kernels
