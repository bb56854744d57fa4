// See signals.h.
#include "cli/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <system_error>

namespace dgemma::cli {
namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

/// What the system does with a signal that nobody waits for: ends or stops the process here.
void take_default(int signal) {
  const sigset_t set = only(signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

Signals::Signals() : taken_(only(SIGWINCH)) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP})  // nohup and background jobs ignore some: leave those
    if (!is_ignored(signal)) sigaddset(&taken_, signal);
  ::signal(SIGPIPE, SIG_IGN);
  ::pthread_sigmask(SIG_BLOCK, &taken_, nullptr);  // for the threads started from here on, too
  try {
    thread_ = std::thread([this] {
      int signal = 0;
      while (::sigwait(&taken_, &signal) == 0 && !leaving_) handle(signal);
    });
  } catch (const std::system_error&) {
    ::pthread_sigmask(SIG_UNBLOCK, &taken_, nullptr);
  }
}

Signals::~Signals() {
  if (!thread_.joinable()) return;
  leaving_ = true;
  ::pthread_kill(thread_.native_handle(), SIGWINCH);
  thread_.join();
  ::pthread_sigmask(SIG_UNBLOCK, &taken_, nullptr);
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
    if (drawing_ != nullptr) drawing_->suspend();
    take_default(signal);  // goes on with SIGCONT
    if (drawing_ != nullptr) drawing_->resume();
  } else if (const auto action = signal == SIGINT ? interrupt_ : signal == SIGTERM ? terminate_ : nullptr) {
    action();
  } else {
    if (drawing_ != nullptr) drawing_->suspend();
    if (signal == SIGINT) ::_exit(130);
    take_default(signal);  // ends as the sender expects
  }
}

}  // namespace dgemma::cli
