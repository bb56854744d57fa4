// The integer products on AMX tiles (AMX-TILE, AMX-INT8); everything else is the avx512bf16 table.
//
// Only the instruction set is here; the kernels are in lanes_tiles.inc. No standard library in this file: it is built
// with -m flags. Tests: tests/kernels/folded_test.cc, on a machine with AMX; everywhere else with tiles emulated.
#include <immintrin.h>

#define DG_WIDTH 16
#define DG_SET1(s) _mm512_set1_ps(s)
#define DG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DG_NAME "amx"
#define DG_GETTER amx_table
#define DG_BASE_GETTER avx512bf16_table
#include "kernels/lanes_types.inc"

#include "kernels/amx_tiles.inc"

#include "kernels/lanes_tiles.inc"
