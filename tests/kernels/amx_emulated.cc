// See amx_emulated.h. The kernels' source compiled a second time, with other tile instructions.
//
// Each thread has its tiles, which are garbage when they have just been configured and which nothing may touch before
// and after: as strict as the hardware, which faults. No standard library in this file: it is built with -m flags.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_NAME "amx_emulated"
#define DG_GETTER amx_emulated_table
#define DG_BASE_GETTER avx512vnni_table
#include "kernels/lanes_types.inc"

namespace dgemma::kernels {
namespace {

struct TileFile {
  bool configured = false;
  alignas(64) int8_t tile[8][16][64];
};
thread_local TileFile file;

template <int T>
int8_t (&tile())[16][64] {
  static_assert(T >= 0 && T < 8);
  if (!file.configured) __builtin_trap();
  return file.tile[T];
}

void tiles_begin() {
  if (file.configured) __builtin_trap();
  file.configured = true;
  __builtin_memset(file.tile, 0x55, sizeof file.tile);
}

void tiles_end() {
  if (!file.configured) __builtin_trap();
  file.configured = false;
}

template <int T>
void tile_zero() {
  __builtin_memset(tile<T>(), 0, 1024);
}

template <int T>
void tile_load(const void* from) {
  __builtin_memcpy(tile<T>(), from, 1024);
}

template <int T>
void tile_store(void* to) {
  __builtin_memcpy(to, tile<T>(), 1024);
}

template <int C, int A, int B>
void tile_dot() {
  static_assert(C != A && C != B && A != B, "the instruction takes three different tiles");
  const auto& a = tile<A>();
  const auto& b = tile<B>();
  for (size_t m = 0; m < 16; ++m) {
    int32_t sums[16];
    __builtin_memcpy(sums, tile<C>()[m], sizeof sums);
    for (size_t k = 0; k < 64; ++k)
      for (size_t n = 0; n < 16; ++n) sums[n] += a[m][k] * b[k / 4][4 * n + k % 4];
    __builtin_memcpy(tile<C>()[m], sums, sizeof sums);
  }
}

}  // namespace
}  // namespace dgemma::kernels

#include "kernels/lanes_tiles.inc"
