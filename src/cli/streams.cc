// See streams.h.
#include "cli/streams.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file_descriptor.h"
#include "base/format.h"
#include "base/mapped_file.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

constexpr size_t kMostInput = size_t{256} << 20;

const char* kind(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return "wrong usage";
    case ErrorCode::kInvalidRequest:
      return "invalid request";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kIo:
      return "input or output failed";
    case ErrorCode::kModelFile:
      return "model file that cannot be used";
    case ErrorCode::kUnsupported:
      return "not supported";
    case ErrorCode::kOutOfMemory:
      return "not enough memory";
    case ErrorCode::kContextFull:
      return "context full";
    case ErrorCode::kCancelled:
      return "interrupted";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "error";
}

Unexpected read_error(const std::string& what) {
  return {ErrorCode::kIo, base::concat(what, ": expected readable input, got: ", std::strerror(errno))};
}

/// Appends up to 64 KiB; gives how many bytes, 0 at the end, -1 after a failure.
ssize_t read_some(int fd, std::string& text) {
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
    return got;
  }
}

}  // namespace

void Output::write(std::string_view text) {
  if (error_ == 0) error_ = base::write_all(fd_, text);
}

bool Output::is_terminal() const { return ::isatty(fd_) == 1; }

bool Output::reader_gone() const { return error_ == EPIPE; }

Result<void> Output::result() const {
  if (error_ == 0 || error_ == EPIPE) return {};
  return Unexpected(ErrorCode::kIo,
                    base::concat("standard output: expected to write the result, got: ", std::strerror(error_),
                                 error_ == ENOSPC ? ". Free some space and run again" : ""));
}

bool is_standard_output(const std::string& path) {
  struct stat file {
  }, out{};
  if (path == "-") return true;
  if (path.empty() || ::stat(path.c_str(), &file) != 0 || ::fstat(STDOUT_FILENO, &out) != 0) return false;
  const bool same = file.st_dev == out.st_dev && file.st_ino == out.st_ino;
  return same && (!S_ISCHR(out.st_mode) || ::isatty(STDOUT_FILENO) == 1);  // two uses of /dev/null do not meet
}

void write_stderr(std::string_view text) { base::write_all(STDERR_FILENO, text); }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }
bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

std::string error_text(const Error& error) {
  return safe_for_terminal(base::concat(kind(error.code), ": ", error.message));
}

int report(const Error& error) {
  write_stderr("dgemma: " + error_text(error) + "\n");
  return exit_status(error.code);
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return base::read_text_file(path, kMostInput);
  std::string text;
  while (true) {
    const ssize_t got = read_some(STDIN_FILENO, text);
    if (got < 0) return read_error("standard input");
    if (got == 0) return text;
    if (text.size() > kMostInput)
      return Unexpected(ErrorCode::kIo,
                        base::concat("standard input: expected at most ", base::bytes_text(kMostInput), ", got more"));
  }
}

Result<std::optional<std::string>> LineReader::next() {
  size_t searched = start_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != buffer_.npos) {
      std::string line = buffer_.substr(start_, end - start_);
      if (line.ends_with('\r')) line.pop_back();
      start_ = end + 1;
      return std::optional(std::move(line));
    }
    buffer_.erase(0, start_);
    start_ = 0;
    searched = buffer_.size();
    if (end_) break;
    if (buffer_.size() > kMostInput)
      return Unexpected(ErrorCode::kIo, base::concat("standard input: expected lines of at most ",
                                                     base::bytes_text(kMostInput), ", got a longer one"));
    const ssize_t got = read_some(fd_, buffer_);
    if (got < 0) return read_error("standard input");
    end_ = got == 0;
  }
  if (buffer_.empty()) return std::optional<std::string>();
  return std::optional(std::exchange(buffer_, {}));
}

void occupy_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // The wrong direction on purpose: a read or write then fails, as it would have on the closed descriptor.
    const int opened = ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    if (opened != fd && opened >= 0) ::close(opened);
  }
}

}  // namespace dgemma::cli
