// ids: a prompt of any length for the tiny models, for tests to which its text does not matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dgemma {

/// `count` token ids; another `start` gives another prompt.
inline std::vector<int32_t> ids(size_t count, int32_t start) {
  std::vector<int32_t> list(count);
  for (size_t i = 0; i < count; ++i) list[i] = static_cast<int32_t>((static_cast<size_t>(start) + 31 * i) % 500 + 3);
  return list;
}

}  // namespace dgemma
