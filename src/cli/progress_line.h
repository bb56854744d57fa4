// What is being done, on a line of standard error that goes away; nothing where that is no terminal.
#pragma once

#include <string>
#include <string_view>

#include "cli/streams.h"

namespace dgemma::cli {

class ProgressLine {
 public:
  ProgressLine() = default;
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool is_seen() const { return terminal_; }
  void show(std::string_view text) {
    if (terminal_) write_stderr("\r" + std::string(text) + "\x1b[K");
    shown_ = true;
  }
  void clear() {
    if (terminal_ && shown_) write_stderr("\r\x1b[K");
    shown_ = false;
  }

 private:
  bool terminal_ = stderr_is_terminal();
  bool shown_ = false;
};

}  // namespace dgemma::cli
