// See amx_emulated.h. The kernels' source compiled a second time, with other tile instructions. No standard library in
// this file: it is built with -m flags.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_NAME "amx_emulated"
#define DG_GETTER amx_emulated_table
#define DG_BASE_GETTER avx512vnni_table
#include "kernels/lanes_types.inc"

#include "kernels/tiles_emulated.inc"

#include "kernels/lanes_tiles.inc"
