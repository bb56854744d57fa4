// Standard input, output and error of the process: whole reads, checked writes, messages in one form.
//
// Results go through Output and nothing else does, so that a full disk or a closed pipe is noticed where it happens.
// Test: tests/cli/streams_test.cc, tests/cli/program_test.sh.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "dgemma/result.h"

namespace dgemma::cli {

/// Where results go. Unbuffered: what was written is seen at once.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}
  /// Writes everything, or remembers the first failure and from then on writes nothing.
  void write(std::string_view text);
  /// True where the descriptor is a terminal.
  bool is_terminal() const;
  int fd() const { return fd_; }
  bool failed() const { return error_ != 0; }
  /// The reader has gone away (head, less): no one wants more, and no one wants to hear about it.
  bool reader_gone() const;
  /// The first failure. A reader that has gone is not one.
  Result<void> result() const;

 private:
  int fd_;
  std::atomic<int> error_ = 0;  ///< errno; the signal thread draws too
};

/// Whether "-" or a path ("/dev/stdout", or the file that it was redirected to) leads to standard output.
bool is_standard_output(const std::string& path);

/// Writes a text to standard error; failures there have nobody to be told to.
void write_stderr(std::string_view text);
bool stderr_is_terminal();
bool stdin_is_terminal();

/// "dgemma: WHAT: message" on standard error; gives the exit status of the error's code.
int report(const Error& error);
/// The same as text, without the program's name: "wrong usage: --threads: expected ...".
std::string error_text(const Error& error);

/// A file as it is, "-" for standard input, at most 256 MiB. Errors: kNotFound, kIo.
Result<std::string> read_input(const std::string& path);

/// Reads standard input line by line, without the line ends ("\n" or "\r\n").
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  /// The next line; nothing at the end. Errors: kIo.
  Result<std::optional<std::string>> next();

 private:
  int fd_;
  bool end_ = false;
  std::string buffer_;
  size_t start_ = 0;
};

/// Opens what the shell closed of descriptors 0, 1 and 2 to something unusable, so that no model file gets their
/// number.
void occupy_standard_descriptors();

}  // namespace dgemma::cli
