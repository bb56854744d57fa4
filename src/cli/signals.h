// Signals turned into calls on an ordinary thread, where locks and writes are allowed.
//
// A thread waits for them (sigwait), all others block them: no handler, no interrupted system call. Interrupt (Ctrl-C)
// calls whatever is set at that time: cancel the answer, wake the line editor; with nothing set the program ends with
// status 130. The drawing on the terminal, if there is one, is put away before the process stops (Ctrl-Z) or ends, and
// redrawn after a resize. Test: tests/cli/terminal_test.cc (in a pseudo-terminal), tests/cli/serve_test.sh.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace dgemma::cli {

/// Something drawn on the terminal that has to make room for signals. Called on the signal thread.
class Drawing {
 public:
  virtual ~Drawing() = default;
  virtual void resize() = 0;
  /// Leaves the terminal as other programs expect it, until resume().
  virtual void suspend() = 0;
  virtual void resume() = 0;
};

class Signals {
 public:
  /// Takes INT, TERM, HUP, TSTP and WINCH, and ignores PIPE. Made before any other thread; one object at a time. Where
  /// the system starts no thread to wait for them, they do what they do to any program, and no action is called.
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// What an interrupt does from now on; empty: end the program. When this returns, the former one is not running.
  void on_interrupt(std::function<void()> action);
  /// What a request to end (TERM) does from now on; empty: end the program. When this returns, the former one is not
  /// running.
  void on_terminate(std::function<void()> action);
  /// The drawing on the terminal; null: none. When this returns, the former one is not in use.
  void set_drawing(Drawing* drawing);

 private:
  void handle(int signal);

  std::recursive_mutex mutex_;  // recursive: an action may set another
  std::function<void()> interrupt_, terminate_;
  Drawing* drawing_ = nullptr;
  sigset_t taken_;
  std::atomic<bool> leaving_{false};
  std::thread thread_;
};

/// Sets the interrupt action for the lifetime of this object.
class InterruptScope {
 public:
  InterruptScope(Signals& signals, std::function<void()> action) : signals_(signals) {
    signals_.on_interrupt(std::move(action));
  }
  ~InterruptScope() { signals_.on_interrupt({}); }
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  Signals& signals_;
};

}  // namespace dgemma::cli
