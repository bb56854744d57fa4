// A model of a terminal for tests: takes the bytes a program writes, keeps what a person would see.
//
// Knows what the program uses (CR, LF, CSI A B J K m, ESC 7 8, modes 7, 25 and 2026) and fails on anything else, so
// that a sequence that slips through from a model is found. Wide characters take two cells; combining ones join; lines
// break at the last column as xterm's do (pending wrap). A resize breaks long lines anew, as VTE, kitty and tmux do.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {

class Screen {
 public:
  Screen(int width, int height) : width_(width), height_(height), rows_(1) {}

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      if (bytes.front() == '\x1b') {
        escape(bytes);
      } else {
        put(take_code_point(bytes));
      }
    }
  }
  /// Everything ever shown, scrolled off lines first, without spaces at line ends and empty lines at the end.
  std::string text() const {
    std::string out;
    for (const Row& row : rows_) {
      std::string line;
      for (const std::string& cell : row.cells) line += cell;
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
    while (out.ends_with("\n\n")) out.pop_back();
    return out == "\n" ? "" : out;
  }
  bool cursor_visible() const { return cursor_visible_; }
  bool wraps() const { return wraps_; }
  int updates() const { return updates_; }
  bool in_update() const { return in_update_; }

  /// Another size: lines that were broken at the edge are joined and broken anew; the cursor keeps its character.
  void resize(int width, int height) {
    std::vector<Row> old = std::move(rows_);
    const size_t old_y = y_;
    const size_t old_x = x_;
    rows_.assign(1, {});
    y_ = 0;
    width_ = width;
    height_ = height;
    size_t new_y = 0, new_x = 0;
    for (size_t y = 0; y < old.size(); ++y) {
      if (y > 0 && !old[y].continues) rows_.emplace_back();
      for (size_t x = 0; x <= old[y].cells.size(); ++x) {
        if (y == old_y && x == old_x) new_y = rows_.size() - 1, new_x = rows_.back().cells.size();
        if (x == old[y].cells.size()) break;
        if (rows_.back().cells.size() >= static_cast<size_t>(width_)) {
          rows_.emplace_back();
          rows_.back().continues = true;
        }
        rows_.back().cells.push_back(old[y].cells[x]);
      }
    }
    y_ = new_y;
    x_ = std::min(new_x, static_cast<size_t>(width_) - 1);
    if (y_ < top()) rows_.resize(y_ + static_cast<size_t>(height_));  // the cursor stays in the window
    pending_wrap_ = false;
  }

 private:
  struct Row {
    std::vector<std::string> cells;  ///< the second cell of a wide character is ""
    bool continues = false;          ///< the line above was broken at the edge
  };

  size_t top() const { return rows_.size() > static_cast<size_t>(height_) ? rows_.size() - height_ : 0; }
  void line_feed() {
    ++y_;
    if (y_ == rows_.size()) rows_.emplace_back();
  }
  void set(size_t x, const std::string& text) {
    auto& cells = rows_[y_].cells;
    if (cells.size() <= x) cells.resize(x + 1, " ");
    cells[x] = text;
  }
  void put(char32_t code_point) {
    if (code_point == '\r') {
      x_ = 0;
      pending_wrap_ = false;
    } else if (code_point == '\n') {
      line_feed();
      x_ = 0;  // as with ONLCR
      pending_wrap_ = false;
    } else if (code_point == '\t') {
      x_ = std::min((x_ / 8 + 1) * 8, static_cast<size_t>(width_) - 1);
    } else {
      ASSERT_TRUE(code_point >= 0x20 && !(code_point >= 0x7F && code_point < 0xA0)) << static_cast<int>(code_point);
      character(code_point);
    }
  }
  void character(char32_t code_point) {
    std::string text;
    base::utf8_append(text, code_point);
    const auto cells = static_cast<size_t>(cell_width(code_point));
    if (cells == 0) {
      const size_t x = pending_wrap_ ? x_ : x_ - std::min<size_t>(x_, 1);
      if (x < rows_[y_].cells.size()) rows_[y_].cells[x] += text;
      return;
    }
    if (wraps_ && (pending_wrap_ || x_ + cells > static_cast<size_t>(width_))) {
      line_feed();
      rows_[y_].continues = true;
      x_ = 0;
    }
    pending_wrap_ = false;
    if (x_ + cells > static_cast<size_t>(width_)) x_ = static_cast<size_t>(width_) - cells;
    set(x_, text);
    if (cells == 2) set(x_ + 1, "");
    x_ += cells;
    if (x_ >= static_cast<size_t>(width_)) {
      x_ = static_cast<size_t>(width_) - 1;
      pending_wrap_ = true;
    }
  }
  void escape(std::string_view& bytes) {
    if (bytes.starts_with("\x1b"
                          "7") ||
        bytes.starts_with("\x1b"
                          "8"))
      return keep_cursor(bytes);
    ASSERT_TRUE(bytes.starts_with("\x1b[")) << "an escape sequence that is no CSI";
    bytes.remove_prefix(2);
    const bool mode = bytes.starts_with('?');
    if (mode) bytes.remove_prefix(1);
    size_t number = 0, digits = 0;
    while (!bytes.empty() && (isdigit(bytes.front()) || bytes.front() == ';')) {
      number = bytes.front() == ';' ? 0 : number * 10 + static_cast<size_t>(bytes.front() - '0');
      ++digits;
      bytes.remove_prefix(1);
    }
    ASSERT_FALSE(bytes.empty());
    const char final = bytes.front();
    bytes.remove_prefix(1);
    if (mode) return set_mode(number, final == 'h');
    if (final == 'm') return;
    const size_t count = digits == 0 ? 1 : number;
    pending_wrap_ = false;
    if (final == 'A')
      y_ -= std::min(count, y_ - std::min(y_, top()));
    else if (final == 'B')
      move_down(count);
    else if (final == 'K')
      erase_line();
    else if (final == 'J')
      erase_below();
    else
      ADD_FAILURE() << "unknown sequence CSI " << final;
  }
  void move_down(size_t count) {
    y_ = std::min(y_ + count, top() + static_cast<size_t>(height_) - 1);
    if (rows_.size() <= y_) rows_.resize(y_ + 1);
  }
  void keep_cursor(std::string_view& bytes) {
    if (bytes[1] == '7') saved_x_ = x_, saved_y_ = y_;
    if (bytes[1] == '8') x_ = saved_x_, y_ = saved_y_, pending_wrap_ = false;
    bytes.remove_prefix(2);
  }
  void erase_line() {
    if (rows_[y_].cells.size() > x_) rows_[y_].cells.resize(x_);
  }
  void erase_below() {
    EXPECT_FALSE(x_ == 0 && y_ == top() && rows_.size() > y_ + 1) << "erasing a whole screen may fill the history";
    erase_line();
    for (size_t y = y_ + 1; y < rows_.size(); ++y) rows_[y] = {};
  }
  void set_mode(size_t mode, bool on) {
    if (mode == 25)
      cursor_visible_ = on;
    else if (mode == 7)
      wraps_ = on;
    else if (mode == 2026)
      in_update_ = on, updates_ += on;
    else
      ADD_FAILURE() << "unknown mode " << mode;
  }

  int width_, height_;
  std::vector<Row> rows_;
  size_t x_ = 0, y_ = 0, saved_x_ = 0, saved_y_ = 0;
  bool pending_wrap_ = false, cursor_visible_ = true, wraps_ = true, in_update_ = false;
  int updates_ = 0;
};

}  // namespace dgemma::cli
