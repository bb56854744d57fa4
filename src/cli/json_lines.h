// Work on lines: each input line to one output line, errors with the line's number.
// Test: tests/cli/program_test.sh.
#pragma once

#include <functional>
#include <string>

#include "cli/streams.h"

namespace dgemma::cli {

/// Calls `work` for each line of a file ("-": standard input) and writes what it gives. Empty lines are errors of
/// `work` like any other. Stops at the first error, which then names the line.
Result<void> for_each_line(const std::string& path, Output& out,
                           const std::function<Result<std::string>(const std::string& line)>& work);

}  // namespace dgemma::cli
