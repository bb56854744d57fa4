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
const KernelTable* avx512_table();
#elif defined(__aarch64__)
const KernelTable* neon_table();
#endif

}  // namespace dgemma::kernels
