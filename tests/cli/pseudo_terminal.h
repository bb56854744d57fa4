// A program in a pseudo-terminal, for tests: its bytes, its keys, its window size.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace dgemma::cli {

class PseudoTerminal {
 public:
  /// Runs `child` in a new process on the terminal; what it returns is the exit status.
  PseudoTerminal(int width, int height, const std::function<int()>& child) {
    winsize size = window(width, height);
    pid_ = ::forkpty(&master_, nullptr, nullptr, &size);
    if (pid_ == 0) ::_exit(child());
  }
  ~PseudoTerminal() {
    if (!ended_) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    ::close(master_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  void type(const std::string& keys) { ASSERT_EQ(::write(master_, keys.data(), keys.size()), ssize_t(keys.size())); }
  void resize(int width, int height) {
    const winsize size = window(width, height);
    ASSERT_EQ(::ioctl(master_, TIOCSWINSZ, &size), 0);
  }
  bool echoes() const {
    termios mode{};
    return ::tcgetattr(master_, &mode) == 0 && (mode.c_lflag & ECHO) != 0;
  }
  void signal(int number) const { ::kill(pid_, number); }

  /// Reads until `done` says so, for at most kPatience; gives what arrived since the last call.
  std::string read_until(const std::function<bool(const std::string&)>& done) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    std::string got;
    while (!done(got)) {
      pollfd ready{master_, POLLIN, 0};
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
        ADD_FAILURE() << "nothing more came; so far: " << testing::PrintToString(got);
        break;
      }
      char buffer[4096];
      const ssize_t count = ::read(master_, buffer, sizeof buffer);
      if (count <= 0) break;  // EIO: the other side is closed
      got.append(buffer, static_cast<size_t>(count));
    }
    return got;
  }
  std::string read_until_text(const std::string& text) {
    return read_until([&text](const std::string& got) { return got.find(text) != got.npos; });
  }
  /// Reads until a new line has a prompt on it, and waits until the line editor has taken over the keys.
  void read_until_next_prompt() {
    read_until([](const std::string& got) {
      const size_t line = got.find('\n');
      return line != got.npos && got.find('>', line) != got.npos;
    });
    wait_until_edited();
  }
  /// A line editor switches the terminal's own echo off, after it has shown its prompt.
  void wait_until_edited() const {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (echoes() && std::chrono::steady_clock::now() < deadline) ::usleep(500);
    EXPECT_FALSE(echoes()) << "no line editor took over";
  }
  /// Everything to the end.
  std::string read_rest() {
    return read_until([](const std::string&) { return false; });
  }
  int exit_status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  static constexpr auto kPatience = std::chrono::seconds(20);
  static winsize window(int width, int height) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(width);
    size.ws_row = static_cast<unsigned short>(height);
    return size;
  }
  int master_ = -1;
  pid_t pid_ = -1;
  bool ended_ = false;
};

}  // namespace dgemma::cli
