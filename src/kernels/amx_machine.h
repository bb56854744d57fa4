// May and can this process use AMX tiles? What has to be true before the amx and amxbf16 tables are offered.
//
// Tiles need more than a processor: the operating system has to save them (XCR0), and Linux has to give the process
// leave to use them, since a thread that does gets 8 KiB more of state. Without, the first tile instruction would end
// the process with a signal. Since they are the default where they run, tables also have to pass a check of their
// results. Not here: the kernels (amx.cc, amxbf16.cc). Source: Linux Documentation/arch/x86/xstate.rst.
// Tests: tests/kernels/folded_test.cc, tests/kernels/tiles_bf16_test.cc.
#pragma once

#include "kernels/cpu.h"
#include "kernels/table.h"

namespace dgemma::kernels {

/// Why the amx table cannot be used here; nullptr where it can. Asks the operating system for leave on a processor that
/// has all instructions: once is enough for all threads, and children made by fork inherit it.
const char* amx_obstacle(const Cpu& cpu);
/// The same for the amxbf16 table, which takes its integer products from amx.
const char* amxbf16_obstacle(const Cpu& cpu);

/// Does a small product of this table have the bits that the folded reference says (scalar_int8.h)? Takes less than a
/// millisecond.
bool computes_folded_products(const KernelTable& table);
/// Is a small product of pairs within what roundings to f32 can do to a sum of bf16 products?
bool computes_bf16_products(const KernelTable& table);

}  // namespace dgemma::kernels
