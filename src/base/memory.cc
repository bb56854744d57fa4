// See memory.h. Sources: proc(5), the kernel's cgroup-v2 documentation. Test: tests/base/memory_test.cc.
#include "base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace dgemma::base {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

/// A number in a one-line file; kUnlimited where there is none ("max", no such file).
uint64_t number_in(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : kUnlimited;
}

uint64_t meminfo(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  uint64_t kilobytes = 0;
  for (std::string line; file >> name >> kilobytes && std::getline(file, line);)
    if (name == field) return kilobytes * 1024;
  return kUnlimited;
}

}  // namespace

uint64_t total_memory_bytes() { return std::min(meminfo("MemTotal:"), number_in("/sys/fs/cgroup/memory.max")); }

uint64_t available_memory_bytes() {
  const uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  const uint64_t used = number_in("/sys/fs/cgroup/memory.current");
  const uint64_t in_group = limit == kUnlimited || used == kUnlimited ? kUnlimited : limit - std::min(limit, used);
  return std::min(meminfo("MemAvailable:"), in_group);
}

uint64_t peak_resident_bytes() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

void forget_peak_resident() {
  std::ofstream file("/proc/self/clear_refs");
  file << '5';
}

}  // namespace dgemma::base
