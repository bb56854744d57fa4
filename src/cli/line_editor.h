// LineEditor: the lines that a person types, edited with libedit, with the history of earlier ones in a private file.
//
// Ctrl-C gives up the line that is being typed; Ctrl-D on an empty one is the end. Only for a terminal: scripts are
// read with LineReader. Why libedit: line editing for every terminal and script is not our subject, and GNU readline's
// licence (GPL) does not go with ours. Test: tests/cli/terminal_test.cc, in a pseudo-terminal.
#pragma once

#include <histedit.h>
#include <termios.h>

#include <string>

#include "base/file_descriptor.h"
#include "cli/program.h"

namespace dgemma::cli {

class LineEditor : public Drawing {
 public:
  enum class Outcome { kLine, kInterrupted, kEnd };
  struct Input {
    Outcome outcome = Outcome::kEnd;
    std::string line;  ///< without its newline
  };

  /// `history_file` "": none is read or written. The caller sees problems with it only as a missing history.
  LineEditor(Signals& signals, std::string history_file);
  ~LineEditor() override;
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// Reads one line. `prompt` is shown in bold.
  Input read(const std::string& prompt);
  /// Adds an input to the history (several lines as one entry) and to its file.
  void remember(const std::string& input);

  // On the signal thread, while a line is being typed. libedit itself is only touched by the thread that reads.
  void resize() override { wake(Wake::kRedraw); }
  void suspend() override;
  void resume() override;

 private:
  enum class Wake : char { kInterrupt, kRedraw };
  static char* prompt_of(EditLine* editor);
  static int read_character(EditLine* editor, wchar_t* character);
  int next_character(wchar_t* character);
  void wake(Wake why);
  bool take_wake();

  Signals& signals_;
  std::string history_file_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  base::FileDescriptor wake_reader_, wake_writer_;  ///< a pipe: the signal thread wakes the one that waits for a key
  bool interrupted_ = false;
  termios usual_{};    ///< the terminal as other programs expect it
  termios editing_{};  ///< as libedit had set it when the process was stopped
};

}  // namespace dgemma::cli
