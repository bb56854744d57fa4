// See thread_pool.h.
#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <string>

namespace dgemma::base {
namespace {

// Longer than the serial gap between two rounds of a sweep, far shorter than what a person or a power meter notices.
constexpr std::chrono::microseconds kSpin{100};

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
    round_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& t : workers_) t.join();
}

void ThreadPool::run_erased(size_t tasks, Call call, void* context) {
  if (workers_.empty() || tasks <= 1) {
    for (size_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  const std::lock_guard one_round(turn_);
  tasks_ = tasks, call_ = call, context_ = context;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    round_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  drain(0);
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < 4096)
      pause_cpu();
    else
      std::this_thread::yield();  // the worker has lost its core to another process: give it ours
  }
}

void ThreadPool::drain(int worker) {
  for (size_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) call_(context_, task, worker);
}

bool ThreadPool::wait_for_round(uint64_t seen) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  while (std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 64; ++i) {
      if (round_.load(std::memory_order_acquire) != seen) return !stop_.load();
      pause_cpu();
    }
  }
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
  return !stop_.load();
}

void ThreadPool::work(int worker) {
  for (uint64_t seen = 0; wait_for_round(seen); ++seen) {
    drain(worker);
    busy_.fetch_sub(1, std::memory_order_release);
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
