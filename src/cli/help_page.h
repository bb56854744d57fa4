// HelpPage: CLI11's help pages, wrapped for a terminal of 80 columns, with one blank line between groups.
//
// Descriptions are written as one line each; this decides where they break. Test: tests/cli/arguments_test.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace dgemma::cli {

class HelpPage : public CLI::Formatter {
 public:
  static constexpr size_t kWidth = 80;
  static constexpr size_t kDescriptions = 30;  ///< the column where they begin: behind "  --confidence-threshold NATS "

  HelpPage() { column_width(kDescriptions); }
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace dgemma::cli
