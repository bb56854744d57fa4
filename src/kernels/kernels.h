// Which kernel tables there are, which of them this machine runs, and the choice of one, made once at start.
//
// The table itself is in table.h; cpu.cc asks the processor. Idea: simdjson's implementation list, forceable by name.
// Test: tests/kernels/dispatch_test.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "dgemma/result.h"
#include "kernels/table.h"

namespace dgemma::kernels {

/// The tables that this machine can run, slowest first; the first is always "scalar".
std::span<const KernelTable* const> available();
/// Names of every table in this build, runnable here or not.
std::span<const char* const> known();
/// "" or "auto": the best one. Errors: kUnsupported, which lists what this machine can run.
Result<const KernelTable*> choose(std::string_view name);
/// CPU features that matter here, space separated, as `dgemma info` prints them ("avx2 fma avx512f ...").
std::string cpu_features();

}  // namespace dgemma::kernels
