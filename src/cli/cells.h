// Cells: text with looks, broken into terminal lines.
//
// A cell is one character as the eye sees it, with what joins it (accents), in one look. Breaking follows terminals: at
// the last column, a wide character that does not fit goes to the next line, tabs go to multiples of 8.
// Test: tests/cli/canvas_view_test.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/palette.h"

namespace dgemma::cli {

struct Look {
  TokenState state = TokenState::kText;
  int shade = 0;
  bool operator==(const Look&) const = default;
};

struct Cell {
  enum class Kind { kGlyph, kNewline, kTab };
  std::string text;
  int width = 1;
  Look look;
  Kind kind = Kind::kGlyph;
};

/// Makes cells of text, piece by piece.
class CellWriter {
 public:
  /// Adds a text in one look. Newlines are drawn as a sign where `flat` is set.
  void add(std::string_view text, Look look, bool flat = false);
  std::vector<Cell> take() { return std::move(cells_); }

 private:
  void join(char32_t code_point, Look look);
  std::vector<Cell> cells_;
};

struct Line {
  std::string text;  ///< with the palette's sequences, plain again at its end
  int width = 0;
  bool changing = false;  ///< has noise, drafts or newly accepted tokens
};

/// At least one line. `width` >= 1.
std::vector<Line> break_lines(const std::vector<Cell>& cells, int width, const Palette& palette);

}  // namespace dgemma::cli
