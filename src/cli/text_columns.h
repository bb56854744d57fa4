// Cells in columns for the reports of bench and compare. Test: tests/cli/bench_report_test.cc.
#pragma once

#include <string>
#include <vector>

namespace dgemma::cli {

/// Rows of cells as lines indented by two spaces, the first column to the left and the others to the right. Widths are
/// counted in bytes: cells are ASCII but for the last column, which is to the left where `text_last` is set.
std::string text_columns(const std::vector<std::vector<std::string>>& rows, bool text_last = false);

}  // namespace dgemma::cli
