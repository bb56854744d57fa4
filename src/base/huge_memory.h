// One large piece of memory on huge pages where the system gives them: for weights and matrices that a step walks
// through. Fewer pages are looked up, and the processor's own look-ahead ends at each; in a virtual machine a look-up
// costs twice as much. Without huge pages it is as good, only slower.
//
// Anonymous, zeroed, aligned to 2 MiB; pages are taken when they are first written, so plan before (base/memory.h).
// Test: tests/base/huge_memory_test.cc.
#pragma once

#include <cstddef>
#include <utility>

#include "dgemma/result.h"

namespace dgemma::base {

inline constexpr size_t kHugePage = size_t{2} << 20;

class HugeMemory {
 public:
  /// Errors: kOutOfMemory (address space, a limit).
  static Result<HugeMemory> allocate(size_t bytes);
  HugeMemory() = default;
  HugeMemory(HugeMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        mapping_(std::exchange(other.mapping_, nullptr)),
        mapped_(std::exchange(other.mapped_, 0)) {}
  HugeMemory& operator=(HugeMemory&& other) noexcept;
  ~HugeMemory();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;
  size_t mapped_ = 0;
};

}  // namespace dgemma::base
