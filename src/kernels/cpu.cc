// CPU detection: cpuid and xgetbv on x86-64, the kernel's hardware capabilities on aarch64.
//
// A feature counts only if the operating system saves its registers too (XCR0): a processor with AVX-512 under a kernel
// that does not enable it must not be given AVX-512 code. xgetbv is written as assembly since the intrinsic would need
// this file to be built with -mxsave. Sources: Intel SDM volume 1 chapter 13 and volume 2 CPUID; Linux
// arch/arm64/elf_hwcaps. Test: tests/kernels/dispatch_test.cc.
#include "kernels/cpu.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace dgemma::kernels {
namespace {

#if defined(__x86_64__)

bool bit(uint32_t word, int n) { return (word >> n) & 1u; }

uint64_t enabled_state() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

/// Has palette 1 of the tiles the shape that the kernels configure? Another one would fault.
bool eight_tiles_of_1024_bytes() {
  uint32_t palettes = 0, bytes = 0, names_and_row = 0, rows = 0, d = 0;
  return __get_cpuid_count(0x1d, 0, &palettes, &bytes, &rows, &d) && palettes >= 1 &&
         __get_cpuid_count(0x1d, 1, &bytes, &names_and_row, &rows, &d) && bytes >> 16 >= 1024 &&
         names_and_row >> 16 >= 8 && (names_and_row & 0xffff) == 64 && (rows & 0xffff) >= 16;
}

Cpu detect() {
  constexpr uint64_t kYmm = 0x6;        // XCR0: xmm and upper halves of ymm
  constexpr uint64_t kZmm = 0xe6;       // and mask registers, zmm
  constexpr uint64_t kTiles = 0x60000;  // and AMX configuration and data
  Cpu c;
  uint32_t a = 0, b = 0, cx = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &cx, &d)) return c;
  c.sse2 = bit(d, 26);
  const uint64_t state = bit(cx, 27) ? enabled_state() : 0;  // OSXSAVE
  const bool ymm = (state & kYmm) == kYmm && bit(cx, 28);
  const bool zmm = ymm && (state & kZmm) == kZmm;
  const bool tiles = (state & kTiles) == kTiles && eight_tiles_of_1024_bytes();
  c.fma = ymm && bit(cx, 12);
  c.f16c = ymm && bit(cx, 29);
  if (!__get_cpuid_count(7, 0, &a, &b, &cx, &d)) return c;
  const uint32_t last_subleaf = a;
  c.avx2 = ymm && bit(b, 5);
  c.avx512f = zmm && bit(b, 16);
  c.avx512dq = zmm && bit(b, 17);
  c.avx512bw = zmm && bit(b, 30);
  c.avx512vl = zmm && bit(b, 31);
  c.avx512_vbmi = zmm && bit(cx, 1);
  c.avx512_vnni = zmm && bit(cx, 11);
  c.amx_bf16 = tiles && bit(d, 22);
  c.amx_tile = tiles && bit(d, 24);
  c.amx_int8 = tiles && bit(d, 25);
  if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &a, &b, &cx, &d)) {
    c.avx_vnni = ymm && bit(a, 4);
    c.avx512_bf16 = zmm && bit(a, 5);
  }
  return c;
}

#elif defined(__aarch64__)

Cpu detect() {
  Cpu c;
  c.neon = true;  // part of the architecture
#if defined(__linux__)
  const uint64_t caps = getauxval(AT_HWCAP);
  const uint64_t caps2 = getauxval(AT_HWCAP2);
  c.dotprod = caps >> 20 & 1;    // HWCAP_ASIMDDP
  c.sve = caps >> 22 & 1;        // HWCAP_SVE
  c.i8mm = caps2 >> 13 & 1;      // HWCAP2_I8MM
  c.arm_bf16 = caps2 >> 14 & 1;  // HWCAP2_BF16
#endif
  return c;
}

#else

Cpu detect() { return {}; }

#endif

struct Name {
  bool Cpu::*flag;
  const char* name;
};

constexpr Name kNames[] = {
    {&Cpu::sse2, "sse2"},
    {&Cpu::avx2, "avx2"},
    {&Cpu::fma, "fma"},
    {&Cpu::f16c, "f16c"},
    {&Cpu::avx_vnni, "avx_vnni"},
    {&Cpu::avx512f, "avx512f"},
    {&Cpu::avx512bw, "avx512bw"},
    {&Cpu::avx512dq, "avx512dq"},
    {&Cpu::avx512vl, "avx512vl"},
    {&Cpu::avx512_vnni, "avx512_vnni"},
    {&Cpu::avx512_vbmi, "avx512_vbmi"},
    {&Cpu::avx512_bf16, "avx512_bf16"},
    {&Cpu::amx_tile, "amx_tile"},
    {&Cpu::amx_int8, "amx_int8"},
    {&Cpu::amx_bf16, "amx_bf16"},
    {&Cpu::neon, "neon"},
    {&Cpu::dotprod, "dotprod"},
    {&Cpu::i8mm, "i8mm"},
    {&Cpu::arm_bf16, "bf16"},
    {&Cpu::sve, "sve"},
};

}  // namespace

const Cpu& cpu() {
  static const Cpu detected = detect();
  return detected;
}

std::string feature_names(const Cpu& cpu) {
  std::string out;
  for (const Name& n : kNames) {
    if (!(cpu.*n.flag)) continue;
    if (!out.empty()) out += ' ';
    out += n.name;
  }
  return out;
}

}  // namespace dgemma::kernels
