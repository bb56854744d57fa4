#include "base/memory.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace dgemma::base
