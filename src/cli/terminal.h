// Terminal: the thin part between pictures and a real terminal: its size, raw writes, cursor and echo.
//
// Not a terminal library (no terminfo): the few sequences used are the same on all that are alive.
// Test: tests/cli/terminal_test.cc, in a pseudo-terminal.
#pragma once

#include <termios.h>

#include <string_view>

#include "cli/streams.h"

namespace dgemma::cli {

struct TerminalSize {
  int width = 80;
  int height = 24;
};

/// The size of the terminal behind a descriptor, or 80 x 24.
TerminalSize terminal_size(int fd);

class Terminal {
 public:
  explicit Terminal(Output& out) : out_(out) {}
  ~Terminal() { end_drawing(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  TerminalSize size() const { return terminal_size(out_.fd()); }
  void write(std::string_view bytes) { out_.write(bytes); }
  /// Hides the cursor, and keeps what the user types from appearing in the picture.
  void begin_drawing();
  /// Undoes begin_drawing.
  void end_drawing();

 private:
  Output& out_;
  bool drawing_ = false;
  bool echo_off_ = false;
  termios saved_{};
};

}  // namespace dgemma::cli
