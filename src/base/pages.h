// Large pages for memory that a step walks through: fewer of them are looked up, and the processor's own look-ahead ends at
// each. In a virtual machine a look-up costs twice as much. Test: tests/base/huge_memory_test.cc.
#pragma once

#include <cstddef>

namespace dgemma::base {

inline constexpr size_t kHugePage = size_t{2} << 20;

/// Wishes huge pages for what fits whole ones of some memory that nobody has touched yet. Without them it is as good, only
/// slower.
void prefer_huge_pages(void* begin, size_t bytes);

}  // namespace dgemma::base
