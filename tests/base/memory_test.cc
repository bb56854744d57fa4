#include "base/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace dgemma::base {
namespace {

TEST(Memory, available_is_part_of_the_total) {
  EXPECT_GT(total_memory_bytes(), uint64_t{1} << 26);
  EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20);
  EXPECT_LE(available_memory_bytes(), total_memory_bytes());
}

/// A control group hierarchy of plain files.
class ControlGroup : public testing::Test {
 protected:
  void group(const std::string& path, const std::string& max, const std::string& current, const std::string& stat) {
    const std::string folder = root_ + path;
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/memory.max") << max << "\n";
    std::ofstream(folder + "/memory.current") << current << "\n";
    std::ofstream(folder + "/memory.stat") << stat;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  const std::string root_ = testing::TempDir() + "/control_group_" + std::to_string(getpid());
};

TEST_F(ControlGroup, pages_of_files_are_free_to_take) {
  group("/a", "1000", "900", "anon 250\ninactive_file 400\nactive_file 200\nshmem 50\n");
  EXPECT_EQ(control_group_memory(root_, "/a").limit, 1000u);
  EXPECT_EQ(control_group_memory(root_, "/a").available, 700u);
}

TEST_F(ControlGroup, the_least_of_all_groups_above_counts) {
  group("/a", "1000", "900", "");
  group("/a/b", "max", "50", "");
  group("/a/b/c", "500", "20", "");
  EXPECT_EQ(control_group_memory(root_, "/a/b/c").limit, 500u);
  EXPECT_EQ(control_group_memory(root_, "/a/b/c").available, 100u);
}

TEST_F(ControlGroup, of_a_container_is_at_the_root) {
  group("", "1000", "300", "");
  EXPECT_EQ(control_group_memory(root_, "/").available, 700u);
}

TEST_F(ControlGroup, without_files_or_limits_nothing_is_limited) {
  group("/a", "max", "300", "");
  EXPECT_EQ(control_group_memory(root_, "/a").available, UINT64_MAX);
  EXPECT_EQ(control_group_memory(root_, "/nowhere/below").limit, UINT64_MAX);
}

TEST_F(ControlGroup, above_its_limit_has_nothing_left) {
  group("/a", "1000", "1200", "");
  EXPECT_EQ(control_group_memory(root_, "/a").available, 0u);
}

TEST(Memory, resident_is_what_this_process_uses_at_most_its_peak) {
  EXPECT_GT(resident_bytes(), uint64_t{1} << 20);
  EXPECT_LE(resident_bytes(), peak_resident_bytes() + (uint64_t{1} << 20));
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
