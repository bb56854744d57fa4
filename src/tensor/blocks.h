// Tokens are lanes: how activations lie in memory.
//
// A matrix of R rows (tokens) by D features is stored as ceil(R/16) blocks; block b holds rows 16b .. 16b+15 with the
// row as the fastest index:
//
//     value(row r, feature d) = data[((r / 16) * D + d) * 16 + r % 16]          // [B, D, 16] f32
//
// So one vector register (or two, or four) holds one feature of 16 tokens: norms, softmax, GELU and argmax run down the
// features without a horizontal sum, a weight is broadcast and read once for many tokens, and a sum over D has the same
// order for every number of rows and every register width. Lanes past the last row hold finite values that nobody
// reads. A group of rows (one session's canvas, one prompt chunk) always starts at a block. Test:
// tests/tensor/blocks_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "base/huge_memory.h"

namespace dgemma::tensor {

inline constexpr size_t kLanes = 16;
inline constexpr size_t kCacheLine = 64;

constexpr size_t blocks_for(size_t rows) { return (rows + kLanes - 1) / kLanes; }

/// A non-owning matrix in lane blocks: [blocks, features, 16] f32. `block_stride` (in floats) may be more than
/// features * 16: a range of features of a wider matrix.
template <class T>
struct BasicBlocks {
  T* data = nullptr;
  size_t blocks = 0;
  size_t features = 0;
  size_t block_stride = 0;

  T* block(size_t b) const { return data + b * block_stride; }
  T& at(size_t row, size_t feature) const { return block(row / kLanes)[feature * kLanes + row % kLanes]; }
  BasicBlocks block_range(size_t first, size_t count) const {
    return {data + first * block_stride, count, features, block_stride};
  }
  BasicBlocks feature_range(size_t first, size_t count) const {
    return {data + first * kLanes, blocks, count, block_stride};
  }
  operator BasicBlocks<const T>() const { return {data, blocks, features, block_stride}; }
};
using Blocks = BasicBlocks<float>;
using ConstBlocks = BasicBlocks<const float>;

/// Owned, 64-byte aligned, zeroed memory of one element type. Large memory is a mapping of its own: on huge pages where
/// it fills some, taken when it is first written, and given back to the system at once.
template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// Throws std::bad_alloc, as containers do.
  explicit AlignedBuffer(size_t count) : count_(count) {
    const size_t bytes = (count * sizeof(T) + kCacheLine - 1) / kCacheLine * kCacheLine;
    if (bytes >= kLeastLarge) {
      auto memory = base::HugeMemory::allocate(bytes);
      if (!memory) throw std::bad_alloc();
      large_ = std::move(*memory);
    } else {
      small_.reset(static_cast<T*>(::operator new[](bytes, std::align_val_t{kCacheLine})));
      __builtin_memset(static_cast<void*>(small_.get()), 0, bytes);
    }
  }
  T* data() const { return small_ ? small_.get() : reinterpret_cast<T*>(large_.data()); }
  size_t size() const { return count_; }
  std::span<T> span() const { return {data(), count_}; }
  /// Makes it `count` elements if it has fewer; what was there is gone then, before the new memory is taken.
  void grow(size_t count) {
    if (count_ >= count) return;
    *this = {};
    *this = AlignedBuffer(count);
  }

 private:
  static constexpr size_t kLeastLarge = base::kHugePage / 2;  // caches that grow leave little in the heap
  struct Free {
    void operator()(T* p) const { ::operator delete[](p, std::align_val_t{kCacheLine}); }
  };
  std::unique_ptr<T[], Free> small_;
  base::HugeMemory large_;
  size_t count_ = 0;
};

/// Rows of 16 lanes of a block of bf16 pairs (kernels/table.h): the "features" of the block that holds it.
constexpr size_t paired_features(size_t features) { return (features + 1) / 2; }

/// "Every row counts": in place of the number of rows of a matrix whose last lanes are padding.
inline constexpr size_t kAllRows = SIZE_MAX;
/// Of a matrix whose first `rows` rows count: how many do in `blocks` blocks from `first` on.
constexpr size_t rows_in(size_t rows, size_t first, size_t blocks) {
  const size_t before = first * kLanes, most = blocks * kLanes;
  return rows <= before ? 0 : rows - before < most ? rows - before : most;
}

/// An owned matrix in lane blocks, zeroed.
class BlockMatrix {
 public:
  BlockMatrix() = default;
  BlockMatrix(size_t rows, size_t features)
      : buffer_(blocks_for(rows) * features * kLanes), blocks_(blocks_for(rows)), features_(features) {}
  Blocks view() const { return {buffer_.data(), blocks_, features_, features_ * kLanes}; }
  /// The first `blocks` blocks.
  Blocks view(size_t blocks) const { return {buffer_.data(), blocks, features_, features_ * kLanes}; }

 private:
  AlignedBuffer<float> buffer_;
  size_t blocks_ = 0;
  size_t features_ = 0;
};

}  // namespace dgemma::tensor
