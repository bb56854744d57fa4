// How much memory this machine has and has left, for plans that are made before memory is taken.
#pragma once

#include <cstdint>
#include <string>

namespace dgemma::base {

/// What a control group (cgroup v2) lets its processes take, bytes. UINT64_MAX where nothing limits them.
struct GroupMemory {
  uint64_t limit;      // the least of the group's own and of all above it
  uint64_t available;  // still to be taken; pages of files count as free, since the kernel gives them up first
};
/// Of the group `path` ("/a/b", as in /proc/self/cgroup) of the hierarchy mounted at `root`.
GroupMemory control_group_memory(const std::string& root, const std::string& path);

/// Physical memory of the machine, or the control group's limit where that is lower.
uint64_t total_memory_bytes();
/// What can be taken without swapping: the kernel's own estimate, within the control group's limit.
uint64_t available_memory_bytes();
/// Resident size of this process; 0 where the system does not say.
uint64_t resident_bytes();
/// Largest resident size that this process has had, since the last call of forget_peak_resident where that works.
uint64_t peak_resident_bytes();
/// Starts peak_resident_bytes anew from what is resident now. Does nothing where the system has no such thing.
void forget_peak_resident();

}  // namespace dgemma::base
