#include "tensor/blocks.h"

#include <gtest/gtest.h>

namespace dgemma::tensor {
namespace {

TEST(Blocks, rows_are_lanes) {
  const BlockMatrix m(17, 3);
  const Blocks v = m.view();
  EXPECT_EQ(v.blocks, 2u);
  v.at(16, 2) = 5.0f;
  EXPECT_EQ(v.data[1 * 3 * 16 + 2 * 16 + 0], 5.0f);
  EXPECT_EQ(v.feature_range(2, 1).at(16, 0), 5.0f);
  EXPECT_EQ(v.block_range(1, 1).at(0, 2), 5.0f);
  EXPECT_EQ(v.at(0, 2), 0.0f);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(v.data) % kCacheLine, 0u);
}

TEST(AlignedBuffer, is_aligned_and_zeroed_whether_it_may_lie_on_huge_pages_or_not) {
  for (const size_t bytes : {size_t{1}, base::kHugePage / 2, base::kHugePage, 3 * base::kHugePage + 1}) {
    AlignedBuffer<uint8_t> buffer(bytes);
    const AlignedBuffer<uint8_t> moved = std::move(buffer);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(moved.data()) % kCacheLine, 0u);
    for (const uint8_t value : moved.span()) ASSERT_EQ(value, 0);
  }
}

TEST(AlignedBuffer, grows_without_its_content_and_never_shrinks) {
  AlignedBuffer<uint8_t> buffer(100);
  buffer.span()[7] = 1;
  buffer.grow(50);
  EXPECT_EQ(buffer.size(), 100u);
  EXPECT_EQ(buffer.span()[7], 1);
  for (const size_t bytes : {size_t{200}, 3 * base::kHugePage, 4 * base::kHugePage}) {
    buffer.grow(bytes);
    ASSERT_EQ(buffer.size(), bytes);
    for (const uint8_t value : buffer.span()) ASSERT_EQ(value, 0);
    buffer.span()[bytes - 1] = 1;
  }
}

}  // namespace
}  // namespace dgemma::tensor
