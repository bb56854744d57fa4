#include "base/huge_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>

namespace dgemma::base {
namespace {

TEST(HugeMemory, is_zeroed_aligned_and_writable_to_its_end) {
  auto memory = HugeMemory::allocate(5'000'001);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->size(), 5'000'001u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % (2 << 20), 0u);
  EXPECT_EQ(memory->data()[4'000'000], std::byte{0});
  std::memset(memory->data(), 7, memory->size());
  const HugeMemory moved = std::move(*memory);
  EXPECT_EQ(moved.data()[5'000'000], std::byte{7});
  EXPECT_EQ(memory->data(), nullptr);
}

TEST(HugeMemory, more_than_the_machine_can_address_is_an_error) {
  const auto memory = HugeMemory::allocate(std::numeric_limits<size_t>::max() / 2);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace dgemma::base
