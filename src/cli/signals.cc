// See signals.h.
#include "cli/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/check.h"

namespace dgemma::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};
constexpr unsigned char kLeave = 0;  // no signal has the number 0

// A signal handler has no argument of ours, so the pipe stands here.
std::atomic<int> g_pipe_in{-1};

void send(unsigned char byte) {
  const int kept = errno;
  [[maybe_unused]] const ssize_t written = ::write(g_pipe_in.load(), &byte, 1);
  errno = kept;
}

void handler(int signal) { send(static_cast<unsigned char>(signal)); }

void install(int signal, void (*function)(int)) {
  struct sigaction action {};
  action.sa_handler = function;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

/// Blocks or unblocks our signals for this thread and those that it starts.
void mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals) sigaddset(&set, signal);
  ::pthread_sigmask(how, &set, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Signals::Signals() {
  int ends[2] = {-1, -1};
  DG_CHECK(::pipe2(ends, O_CLOEXEC) == 0, "errno ", errno);
  g_pipe_in = ends[1];
  thread_ = std::thread([this, out = ends[0]] {
    unsigned char byte = 0;
    while (true) {
      const ssize_t got = ::read(out, &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got != 1 || byte == kLeave) break;
      handle(byte);
    }
    ::close(out);
  });
  mask(SIG_BLOCK);  // after the thread has started: it alone takes signals, no other system call is interrupted
  install(SIGPIPE, SIG_IGN);
  for (const int signal : kSignals)  // nohup and background jobs of a shell ignore some: leave those
    if (!is_ignored(signal)) install(signal, handler);
}

Signals::~Signals() {
  for (const int signal : kSignals)
    if (!is_ignored(signal)) install(signal, SIG_DFL);
  send(kLeave);
  thread_.join();
  mask(SIG_UNBLOCK);
  ::close(g_pipe_in.exchange(-1));
}

void Signals::on_interrupt(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  interrupt_ = std::move(action);
}

void Signals::on_terminate(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  terminate_ = std::move(action);
}

void Signals::set_drawing(Drawing* drawing) {
  const std::lock_guard lock(mutex_);
  drawing_ = drawing;
}

void Signals::handle(int signal) {
  std::lock_guard lock(mutex_);
  if (signal == SIGWINCH) {
    if (drawing_ != nullptr) drawing_->resize();
  } else if (signal == SIGTSTP) {
    stop_process();
  } else if (const auto action = signal == SIGINT ? interrupt_ : signal == SIGTERM ? terminate_ : nullptr) {
    action();
  } else {
    if (drawing_ != nullptr) drawing_->suspend();
    if (signal == SIGINT) ::_exit(130);
    install(signal, SIG_DFL);  // end as the sender expects
    ::kill(::getpid(), signal);
    ::pause();
  }
}

void Signals::stop_process() {
  if (drawing_ != nullptr) drawing_->suspend();
  install(SIGTSTP, SIG_DFL);
  ::raise(SIGTSTP);  // stops here; goes on with SIGCONT
  install(SIGTSTP, handler);
  if (drawing_ != nullptr) drawing_->resume();
}

}  // namespace dgemma::cli
