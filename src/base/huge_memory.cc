// See huge_memory.h.
#include "base/huge_memory.h"

#include <sys/mman.h>

#include <cstdint>

#include "base/format.h"

namespace dgemma::base {

Result<HugeMemory> HugeMemory::allocate(size_t bytes) {
  HugeMemory memory;
  if (bytes == 0) return memory;
  memory.mapped_ = bytes + kHugePage;
  void* mapping = ::mmap(nullptr, memory.mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    return Unexpected(ErrorCode::kOutOfMemory, "the system gives no " + bytes_text(bytes) + " of memory");
  memory.mapping_ = mapping, memory.size_ = bytes;
  const auto address = reinterpret_cast<uintptr_t>(mapping);
  memory.data_ = static_cast<std::byte*>(mapping) + (kHugePage - address % kHugePage) % kHugePage;
  ::madvise(memory.data_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish, for whole ones
  return memory;
}

HugeMemory& HugeMemory::operator=(HugeMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

HugeMemory::~HugeMemory() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_);
}

}  // namespace dgemma::base
