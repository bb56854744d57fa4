// How much memory this machine has and has left, for plans that are made before memory is taken.
#pragma once

#include <cstdint>

namespace dgemma::base {

/// Physical memory of the machine, or the control group's limit where that is lower.
uint64_t total_memory_bytes();
/// What can be taken without swapping: the kernel's own estimate, within the control group's limit.
uint64_t available_memory_bytes();
/// Largest resident size that this process has had, since the last call of forget_peak_resident where that works.
uint64_t peak_resident_bytes();
/// Starts peak_resident_bytes anew from what is resident now. Does nothing where the system has no such thing.
void forget_peak_resident();

}  // namespace dgemma::base
