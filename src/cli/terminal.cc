// See terminal.h.
#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace dgemma::cli {
namespace {

/// Only a process in the foreground may change the terminal; others would be stopped for it.
bool in_foreground() { return ::isatty(STDIN_FILENO) == 1 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp(); }

}  // namespace

TerminalSize terminal_size(int fd) {
  winsize window{};
  TerminalSize size;
  if (::ioctl(fd, TIOCGWINSZ, &window) == 0) {
    if (window.ws_col > 0) size.width = window.ws_col;
    if (window.ws_row > 0) size.height = window.ws_row;
  }
  return size;
}

void Terminal::begin_drawing() {
  if (drawing_) return;
  drawing_ = true;
  out_.write("\x1b[?25l");
  if (!in_foreground() || ::tcgetattr(STDIN_FILENO, &saved_) != 0) return;
  termios quiet = saved_;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  echo_off_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

void Terminal::end_drawing() {
  if (!drawing_) return;
  drawing_ = false;
  out_.write("\x1b[?25h");
  if (echo_off_ && in_foreground()) ::tcsetattr(STDIN_FILENO, TCSANOW, &saved_);
  echo_off_ = false;
}

}  // namespace dgemma::cli
