// See cells.h.
#include "cli/cells.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

constexpr char32_t kEmojiSelector = 0xFE0F;
constexpr int kTabStop = 8;
constexpr size_t kMostJoined = 32;  // bytes of one cell; stacks of accents end here
constexpr const char* kNewlineSign = "↵";
constexpr const char* kDottedCircle = "◌";  // carries an accent that has nothing to stand on

/// Invisible characters that only steer layout (joiners, direction marks): the picture decides its own layout.
bool is_layout_control(char32_t code_point) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool is_unassigned(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)) == UTF8PROC_CATEGORY_CN;
}

/// Puts cells behind each other on one line and switches looks only where they change.
class LineBuilder {
 public:
  LineBuilder(int width, const Palette& palette) : width_(width), palette_(palette), lines_(1) {}

  void add(const Cell& cell) {
    if (cell.kind == Cell::Kind::kNewline) {
      mark(cell.look);
      return next_line();
    }
    if (cell.kind == Cell::Kind::kTab) return add_tab(cell.look);
    if (line().width + cell.width > width_ && line().width > 0) next_line();
    put(cell.text, std::min(cell.width, width_), cell.look);
  }
  std::vector<Line> take() {
    plain();
    return std::move(lines_);
  }

 private:
  Line& line() { return lines_.back(); }
  void mark(Look look) {
    line().changing |=
        look.state == TokenState::kNoise || look.state == TokenState::kDraft || look.state == TokenState::kAccepted;
  }
  void add_tab(Look look) {
    const int stop = std::min((line().width / kTabStop + 1) * kTabStop, width_ - 1);
    put(std::string(static_cast<size_t>(std::max(0, stop - line().width)), ' '), std::max(0, stop - line().width),
        look);
  }
  void put(const std::string& text, int width, Look look) {
    if (look != look_) {
      plain();
      line().text += palette_.begin(look.state, look.shade);
      look_ = look;
    }
    line().text += text;
    line().width += width;
    mark(look);
  }
  void plain() {
    if (look_ != Look()) line().text += palette_.end();
    look_ = Look();
  }
  void next_line() {
    plain();
    lines_.emplace_back();
  }

  int width_;
  const Palette& palette_;
  Look look_;
  std::vector<Line> lines_;
};

}  // namespace

void CellWriter::join(char32_t code_point, Look look) {
  if (cells_.empty() || cells_.back().kind != Cell::Kind::kGlyph)
    cells_.push_back({kDottedCircle, 1, look, Cell::Kind::kGlyph});
  Cell& cell = cells_.back();
  if (cell.text.size() < kMostJoined) base::utf8_append(cell.text, code_point);
  if (code_point == kEmojiSelector) cell.width = 2;
}

void CellWriter::add(std::string_view text, Look look, bool flat) {
  while (!text.empty()) {
    char32_t code_point = visible(take_code_point(text));
    if (code_point == '\n') {
      if (flat) cells_.push_back({kNewlineSign, 1, look, Cell::Kind::kGlyph});
      if (!flat) cells_.push_back({"", 0, look, Cell::Kind::kNewline});
    } else if (code_point == '\t') {
      cells_.push_back({"", 0, look, Cell::Kind::kTab});
    } else if (!is_layout_control(code_point)) {
      if (is_unassigned(code_point)) code_point = 0xFFFD;
      const int width = cell_width(code_point);
      if (width == 0) {
        join(code_point, look);
        continue;
      }
      Cell cell{"", width, look, Cell::Kind::kGlyph};
      base::utf8_append(cell.text, code_point);
      cells_.push_back(std::move(cell));
    }
  }
}

std::vector<Line> break_lines(const std::vector<Cell>& cells, int width, const Palette& palette) {
  LineBuilder builder(width, palette);
  for (const Cell& cell : cells) builder.add(cell);
  return builder.take();
}

}  // namespace dgemma::cli
