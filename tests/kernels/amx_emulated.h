// The amx and amxbf16 tables with their tile instructions emulated in plain C++: what machines without AMX can test of
// it, which is everything but the instructions. Needs AVX-512 with VNNI and VBMI. Built for x86-64 only.
#pragma once

#include "kernels/table.h"

namespace dgemma::kernels {

const KernelTable* amx_emulated_table();
const KernelTable* amxbf16_emulated_table();

}  // namespace dgemma::kernels
