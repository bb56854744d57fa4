// The integer products on AMX tiles (AMX-TILE, AMX-INT8); everything else is the avx512bf16 table.
//
// Only the instructions are here; the kernels are in lanes_tiles.inc. They are written as assembly: GCC 12's intrinsics
// do not tell the compiler which memory they touch, so that stores before a tile load may vanish. Compilers never use
// tile registers on their own. No standard library in this file: it is built with -m flags. What has to be asked of
// the processor and the operating system before any of this may run: amx_machine.h.
// Tests: tests/kernels/folded_test.cc, on a machine with AMX; everywhere else with the instructions emulated.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_NAME "amx"
#define DG_GETTER amx_table
#define DG_BASE_GETTER avx512bf16_table
#include "kernels/lanes_types.inc"

namespace dgemma::kernels {
namespace {

// What ldtilecfg reads.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileShapes) == 64);
constexpr TileShapes kShapes;

DG_INLINE void tiles_begin() { asm volatile("ldtilecfg %0" : : "m"(kShapes) : "memory"); }
DG_INLINE void tiles_end() { asm volatile("tilerelease" : : : "memory"); }

template <int T>
DG_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(T));
}

template <int T>
DG_INLINE void tile_load(const void* from) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(size_t{64}), "i"(T) : "memory");
}

template <int T>
DG_INLINE void tile_store(void* to) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(size_t{64}), "i"(T) : "memory");
}

template <int C, int A, int B>
DG_INLINE void tile_dot() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
}

}  // namespace
}  // namespace dgemma::kernels

#include "kernels/lanes_tiles.inc"
