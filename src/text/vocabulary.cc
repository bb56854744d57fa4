// See vocabulary.h.
#include "text/vocabulary.h"

#include <bit>
#include <functional>

namespace dgemma::text {
namespace {

uint32_t hash_of(std::string_view text) {
  const auto h = static_cast<uint64_t>(std::hash<std::string_view>{}(text));
  return static_cast<uint32_t>(h ^ h >> 32);
}

}  // namespace

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  texts_.reserve(bytes);
  entries_.reserve(tokens);
  grow(std::bit_ceil(2 * tokens + 16));
}

size_t Vocabulary::slot_of(std::string_view text, uint32_t hash) const {
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const int32_t id = slots_[slot];
    if (id == kNone || (entries_[static_cast<size_t>(id)].hash == hash && this->text(id) == text)) return slot;
  }
}

void Vocabulary::grow(size_t slots) {
  slots_.assign(slots, kNone);
  const size_t mask = slots - 1;
  for (size_t id = 0; id < entries_.size(); ++id) {
    size_t slot = entries_[id].hash & mask;
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<int32_t>(id);
  }
}

int32_t Vocabulary::add(std::string_view text) {
  if (2 * (entries_.size() + 1) > slots_.size()) grow(std::bit_ceil(4 * (entries_.size() + 16)));
  const uint32_t hash = hash_of(text);
  const size_t slot = slot_of(text, hash);
  if (slots_[slot] != kNone) return kNone;
  const auto id = static_cast<int32_t>(entries_.size());
  entries_.push_back({texts_.size(), static_cast<uint32_t>(text.size()), hash});
  texts_.append(text);
  slots_[slot] = id;
  return id;
}

int32_t Vocabulary::find(std::string_view text) const {
  return slots_.empty() ? kNone : slots_[slot_of(text, hash_of(text))];
}

}  // namespace dgemma::text
