// See amx_emulated.h.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_NAME "amxbf16_emulated"
#define DG_GETTER amxbf16_emulated_table
#define DG_BASE_GETTER amx_emulated_table
#include "kernels/lanes_types.inc"

#include "kernels/amx_emulated.h"
#include "kernels/tiles_emulated.inc"

#include "kernels/lanes_tiles_bf16.inc"
