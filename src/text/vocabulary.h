// Vocabulary: token texts by id, and ids by token text.
//
// Built once from a file, then read only. All texts lie in one string; the index is an open-addressing table of ids, so
// that 262,144 tokens cost two allocations and load in milliseconds. It does not know which tokens are special or
// bytes; see tokenizer.h. Test: tests/text/tokenizer_test.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dgemma::text {

class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;

  /// Room for `tokens` texts; called once, before the first add.
  void reserve(size_t tokens, size_t bytes);
  /// Gives `text` the next free id and returns it; kNone when the text is there already (nothing changes).
  int32_t add(std::string_view text);

  int32_t find(std::string_view text) const;
  std::string_view text(int32_t id) const {
    const Entry& entry = entries_[static_cast<size_t>(id)];
    return std::string_view(texts_).substr(entry.begin, entry.length);
  }
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }
  bool contains(int32_t id) const { return id >= 0 && id < size(); }

 private:
  struct Entry {
    uint64_t begin;
    uint32_t length;
    uint32_t hash;
  };
  size_t slot_of(std::string_view text, uint32_t hash) const;
  void grow(size_t slots);

  std::string texts_;
  std::vector<Entry> entries_;  // [tokens]
  std::vector<int32_t> slots_;  // a power of two, at most half full; kNone: free
};

}  // namespace dgemma::text
