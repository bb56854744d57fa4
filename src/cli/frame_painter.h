// FramePainter: a picture of lines drawn over the one before, as bytes for a terminal.
//
// Between pictures the cursor rests at the picture's first column and row, so that a terminal that breaks lines anew
// after a resize still knows the place. One string a frame, wrapped in a synchronised update (DEC mode 2026), and only
// lines that changed: nothing flickers. Pure; Terminal writes. Sources: ECMA-48 for CSI A, B, J, K; xterm's control
// sequences for modes 7 and 25. Test: tests/cli/frame_painter_test.cc, on a model of a terminal.
#pragma once

#include <string>
#include <vector>

namespace dgemma::cli {

class FramePainter {
 public:
  /// Draws the picture over the former one. Lines must fit the terminal's width, their number its height; the last line
  /// must be shorter than the width. `first` is printed in the same update, above the picture and for good; it ends in
  /// a newline or is empty.
  std::string paint(const std::vector<std::string>& lines, const std::string& first = "");
  /// Takes the picture away; the cursor stands where it began.
  std::string erase();
  /// Leaves the picture; the cursor stands below it.
  std::string leave();
  /// The terminal's size changed: nothing on the screen is where it was, apart from the cursor.
  void forget();

 private:
  std::vector<std::string> lines_;  ///< on the screen now
  bool unknown_ = false;            ///< something is below the cursor, but not known what
};

}  // namespace dgemma::cli
