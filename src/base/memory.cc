// See memory.h. Sources: proc(5), the kernel's cgroup-v2 documentation (memory.stat). Test: tests/base/memory_test.cc.
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
uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : kUnlimited;
}

/// The number behind a name at the start of a line; `absent` where there is none.
uint64_t field_in(const std::string& path, const std::string& field, uint64_t absent) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  for (std::string line; file >> name >> value && std::getline(file, line);)
    if (name == field) return value;
  return absent;
}

uint64_t meminfo(const std::string& field) {
  const uint64_t kilobytes = field_in("/proc/meminfo", field, kUnlimited);
  return kilobytes == kUnlimited ? kUnlimited : kilobytes * 1024;
}

/// Of the group that this process is in.
GroupMemory own_group_memory() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::")) return control_group_memory("/sys/fs/cgroup", line.substr(3));
  return {kUnlimited, kUnlimited};
}

}  // namespace

GroupMemory control_group_memory(const std::string& root, const std::string& path) {
  GroupMemory least{kUnlimited, kUnlimited};
  for (std::string group = path == "/" ? "" : path;; group.resize(group.rfind('/'))) {
    const std::string folder = root + group + "/memory.";
    const uint64_t limit = number_in(folder + "max"), used = number_in(folder + "current");
    if (limit != kUnlimited && used != kUnlimited) {
      const uint64_t files =
          field_in(folder + "stat", "inactive_file", 0) + field_in(folder + "stat", "active_file", 0);
      const uint64_t kept = used - std::min(used, files);
      least.limit = std::min(least.limit, limit);
      least.available = std::min(least.available, limit - std::min(limit, kept));
    }
    if (group.find('/') == std::string::npos) return least;
  }
}

uint64_t total_memory_bytes() { return std::min(meminfo("MemTotal:"), own_group_memory().limit); }

uint64_t available_memory_bytes() { return std::min(meminfo("MemAvailable:"), own_group_memory().available); }

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t all = 0, resident = 0;
  return file >> all >> resident ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
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
