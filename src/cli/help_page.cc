// See help_page.h.
#include "cli/help_page.h"

#include <sstream>
#include <utility>

namespace dgemma::cli {
namespace {

/// Breaks one line at spaces. What goes on is indented like the line's description.
std::string wrapped(std::string line) {
  const std::string indent(line.starts_with("  ") ? HelpPage::kDescriptions : 0, ' ');
  std::string text;
  while (line.size() > HelpPage::kWidth) {
    const size_t space = line.rfind(' ', HelpPage::kWidth);
    if (space == line.npos || space <= indent.size()) break;
    text += line.substr(0, space) + '\n';
    line = indent + line.substr(space + 1);
  }
  return text + line + '\n';
}

}  // namespace

std::string HelpPage::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  std::istringstream page(CLI::Formatter::make_help(app, std::move(name), mode));
  std::string text;
  bool after_blank = false;
  for (std::string line; std::getline(page, line);) {
    if (!line.empty() || !after_blank) text += wrapped(line);
    after_blank = line.empty();
  }
  return text;
}

}  // namespace dgemma::cli
