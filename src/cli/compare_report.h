// A comparison of two models as a table for people and as JSON for programs.
//
// Pure: a struct in, text or JSON out. The JSON fields are a contract (docs/CLI.md). Test:
// tests/cli/compare_report_test.cc.
#pragma once

#include <string>

#include "cli/json_text.h"
#include "dgemma/compare.h"

namespace dgemma::cli {

Json compare_json(const CompareReport& report);
std::string compare_text(const CompareReport& report);

}  // namespace dgemma::cli
