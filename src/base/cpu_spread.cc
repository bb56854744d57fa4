// See cpu_spread.h.
#include "base/cpu_spread.h"

#include <sched.h>

namespace dgemma::base {
namespace {

cpu_set_t allowed_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);  // none where it fails, as on a machine of more than 1,024
  return allowed;
}

bool enough_cpus(int members) {
  const cpu_set_t allowed = allowed_cpus();
  return CPU_COUNT(&allowed) >= members;
}

}  // namespace

CpuSpread::CpuSpread(int members)
    : possible_(members > 1 && enough_cpus(members)), cpu_of_(static_cast<size_t>(members)) {
  for (std::atomic<int>& cpu : cpu_of_) cpu.store(-1, std::memory_order_relaxed);
}

void CpuSpread::keep_apart(int member) {
  if (!possible_) return;
  const int here = sched_getcpu();
  std::atomic<int>& mine = cpu_of_[static_cast<size_t>(member)];
  if (mine.load(std::memory_order_relaxed) != here) mine.store(here, std::memory_order_relaxed);
  for (int other = 0; other < member; ++other)
    if (cpu_of_[static_cast<size_t>(other)].load(std::memory_order_relaxed) == here) return move(member);
}

void CpuSpread::move(int member) {
  const cpu_set_t allowed = allowed_cpus();
  cpu_set_t free = allowed;
  for (const std::atomic<int>& cpu : cpu_of_) {
    const int taken = cpu.load(std::memory_order_relaxed);
    if (taken >= 0 && taken < CPU_SETSIZE) CPU_CLR(taken, &free);
  }
  if (CPU_COUNT(&free) == 0 || sched_setaffinity(0, sizeof free, &free) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
  cpu_of_[static_cast<size_t>(member)].store(sched_getcpu(), std::memory_order_relaxed);
}

}  // namespace dgemma::base
