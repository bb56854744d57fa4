// See text_columns.h.
#include "cli/text_columns.h"

#include <algorithm>

namespace dgemma::cli {

std::string text_columns(const std::vector<std::vector<std::string>>& rows, bool text_last) {
  std::vector<size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    text += ' ';
    for (size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      const std::string gap(width[i] - row[i].size(), ' ');
      text += i == 0 ? " " + row[i] + (last ? "" : gap) : last && text_last ? "  " + row[i] : "  " + gap + row[i];
    }
    text += '\n';
  }
  return text;
}

}  // namespace dgemma::cli
