// The products in bf16 on AMX tiles (AMX-BF16); everything else is the amx table.
//
// Only the instruction set is here; the kernels are in lanes_tiles_bf16.inc. No standard library in this file: it is
// built with -m flags. Tests: tests/kernels/tiles_bf16_test.cc, on a machine with AMX; everywhere else with tiles
// emulated.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_NAME "amxbf16"
#define DG_GETTER amxbf16_table
#define DG_BASE_GETTER amx_table
#include "kernels/lanes_types.inc"

#include "kernels/amx_tiles.inc"

#include "kernels/lanes_tiles_bf16.inc"
