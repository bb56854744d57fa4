// A bench report as a table for people and as JSON for programs.
//
// Pure: a struct in, text or JSON out. The JSON fields are a contract (docs/CLI.md). Test:
// tests/cli/bench_report_test.cc.
#pragma once

#include <string>

#include "cli/json_text.h"
#include "dgemma/bench.h"

namespace dgemma::cli {

Json bench_json(const BenchReport& report);
std::string bench_text(const BenchReport& report);

/// "33.2 GB/s", "402 GFLOP/s", "14.2 GB": a number with a decimal prefix, three digits.
std::string decimal_text(double value, const std::string& unit);

}  // namespace dgemma::cli
