// What is being computed, on a line of standard error that goes away; nothing where that is no terminal.
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

  void show(std::string_view what) const {
    if (terminal_) write_stderr("\r" + std::string(what) + " ...\x1b[K");
  }
  void clear() const {
    if (terminal_) write_stderr("\r\x1b[K");
  }

 private:
  bool terminal_ = stderr_is_terminal();
};

}  // namespace dgemma::cli
