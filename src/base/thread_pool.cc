// See thread_pool.h.
#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <new>
#include <set>
#include <string>
#include <system_error>

#include "base/check.h"

namespace dgemma::base {
namespace {

// Longer than the serial gap between two rounds of a sweep, far shorter than what a person or a power meter notices.
constexpr std::chrono::microseconds kSpin{100};

constexpr int kTasksShift = 20, kRoundShift = 40;
constexpr size_t kMostTasks = size_t{1} << kTasksShift;
size_t next_of(uint64_t ticket) { return ticket & (kMostTasks - 1); }
size_t tasks_of(uint64_t ticket) { return ticket >> kTasksShift & (kMostTasks - 1); }
uint64_t round_of(uint64_t ticket) { return ticket >> kRoundShift; }

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : spread_(threads) {
  workers_.reserve(static_cast<size_t>(threads));
  try {
    for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { work(worker); });
  } catch (const std::system_error&) {  // a limit on threads or on address space: go on with those that are there
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& t : workers_) t.join();
}

void ThreadPool::run_erased(size_t tasks, Call call, void* context) {
  if (workers_.empty() || tasks <= 1) {
    for (size_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  DG_CHECK(tasks < kMostTasks, tasks, " tasks");
  const std::lock_guard one_round(turn_);
  call_ = call, context_ = context;
  spread_.keep_apart(0);
  unfinished_.store(tasks, std::memory_order_relaxed);
  const uint64_t round = round_of(tickets_.load(std::memory_order_relaxed)) + 1;
  {
    const std::lock_guard lock(mutex_);
    tickets_.store(round << kRoundShift | uint64_t{tasks} << kTasksShift, std::memory_order_release);
  }
  wake_.notify_all();
  drain(0);
  for (int spins = 0; unfinished_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < 4096)
      pause_cpu();
    else
      std::this_thread::yield();  // a worker has lost its core inside a task: give it ours
  }
  if (no_memory_.exchange(false, std::memory_order_relaxed)) throw std::bad_alloc();
}

void ThreadPool::drain(int worker) {
  uint64_t ticket = tickets_.load(std::memory_order_acquire);
  while (next_of(ticket) < tasks_of(ticket)) {
    if (!tickets_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    try {
      call_(context_, next_of(ticket), worker);
    } catch (const std::bad_alloc&) {  // would end the process here; and the caller must not leave before the others
      no_memory_.store(true, std::memory_order_relaxed);
    }
    unfinished_.fetch_sub(1, std::memory_order_release);
    ticket = tickets_.load(std::memory_order_acquire);
  }
}

bool ThreadPool::wait_for_round(uint64_t seen) {
  const auto changed = [&] {
    return round_of(tickets_.load(std::memory_order_acquire)) != seen || stop_.load(std::memory_order_relaxed);
  };
  const auto until = std::chrono::steady_clock::now() + kSpin;
  while (std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 64; ++i) {
      if (changed()) return !stop_.load();
      pause_cpu();
    }
  }
  std::unique_lock lock(mutex_);
  wake_.wait(lock, changed);
  return !stop_.load();
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  while (wait_for_round(seen)) {
    seen = round_of(tickets_.load(std::memory_order_acquire));
    spread_.keep_apart(worker);
    drain(worker);
  }
}

int ThreadPool::default_threads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream siblings("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    std::string list;
    if (!std::getline(siblings, list)) list = "cpu" + std::to_string(cpu);
    cores.insert(list);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

}  // namespace dgemma::base
