#include "base/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>

namespace dgemma::base {
namespace {

TEST(Memory, available_is_part_of_the_total) {
  EXPECT_GT(total_memory_bytes(), uint64_t{1} << 26);
  EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20);
  EXPECT_LE(available_memory_bytes(), total_memory_bytes());
}

TEST(Memory, peak_is_what_this_process_used) {
  EXPECT_GT(peak_resident_bytes(), uint64_t{1} << 20);
  EXPECT_LT(peak_resident_bytes(), uint64_t{1} << 40);
}

TEST(Memory, peak_can_be_started_anew) {
  if (!std::ofstream("/proc/self/clear_refs")) GTEST_SKIP() << "this system cannot";
  constexpr size_t kLarge = size_t{64} << 20;
  void* large = mmap(nullptr, kLarge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(large, MAP_FAILED);
  std::memset(large, 1, kLarge);
  munmap(large, kLarge);
  const uint64_t before = peak_resident_bytes();
  EXPECT_GT(before, kLarge);
  forget_peak_resident();
  EXPECT_LT(peak_resident_bytes(), before - kLarge / 2);
}

}  // namespace
}  // namespace dgemma::base
