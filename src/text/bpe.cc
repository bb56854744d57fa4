// See bpe.h.
#include "text/bpe.h"
#include "base/utf8.h"

#include <algorithm>
#include <bit>
#include <cstdio>

namespace dgemma::text {
namespace {

constexpr int kJointBits = 21;  // 256 KiB of bits: 33,695 pairs of Gemma's merges fill 1.6 % of them

uint64_t mix(uint64_t x) {
  x *= 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
  return x ^ x >> 29;
}

size_t joint_bit(char32_t left, char32_t right) {
  return mix(uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15u >> (64 - kJointBits);
}

}  // namespace

/// Buffers of one encode call, reused from chunk to chunk.
struct BpeModel::Work {
  std::vector<int32_t> ids;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

BpeModel::BpeModel(const Vocabulary& vocabulary, const std::vector<Merge>& merges, const std::vector<bool>& is_control,
                   const BpeOptions& options)
    : vocabulary_(vocabulary), is_control_(is_control), options_(options) {
  for (size_t b = 0; b < byte_tokens_.size(); ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(b));
    byte_tokens_[b] = find(name);
    all_bytes_ = all_bytes_ && byte_tokens_[b] != Vocabulary::kNone;
  }
  for (size_t c = 0; c < ascii_.size(); ++c) {
    const char character = static_cast<char>(c);
    ascii_[c] = find(std::string_view(&character, 1));
  }
  merges_.assign(std::bit_ceil(2 * merges.size() + 2), {0, 0, Vocabulary::kNone});
  joints_.assign(size_t{1} << (kJointBits - 6), 0);
  std::vector<bool> indirect(static_cast<size_t>(vocabulary_.size()), false);  // stands for another character
  for (const int32_t id : byte_tokens_)
    if (id != Vocabulary::kNone) indirect[static_cast<size_t>(id)] = true;
  if (options_.unk_id != Vocabulary::kNone) indirect[static_cast<size_t>(options_.unk_id)] = true;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    insert_merge(pair_of(merge.left, merge.right), static_cast<uint32_t>(rank), merge.result);
    const std::string_view left = vocabulary_.text(merge.left), right = vocabulary_.text(merge.right);
    if (left.empty() || right.empty() || indirect[static_cast<size_t>(merge.left)] ||
        indirect[static_cast<size_t>(merge.right)]) {
      may_cut_ = false;
      continue;
    }
    const size_t bit =
        joint_bit(base::utf8_code_point(left.substr(base::utf8_last(left))), base::utf8_code_point(right));
    joints_[bit >> 6] |= uint64_t{1} << (bit & 63);
  }
}

void BpeModel::insert_merge(uint64_t pair, uint32_t rank, int32_t result) {
  const size_t mask = merges_.size() - 1;
  size_t slot = mix(pair) & mask;
  while (merges_[slot].result != Vocabulary::kNone && merges_[slot].pair != pair) slot = (slot + 1) & mask;
  merges_[slot] = {pair, rank, result};
}

const BpeModel::MergeSlot* BpeModel::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  const size_t mask = merges_.size() - 1;
  for (size_t slot = mix(pair) & mask;; slot = (slot + 1) & mask) {
    if (merges_[slot].result == Vocabulary::kNone) return nullptr;
    if (merges_[slot].pair == pair) return &merges_[slot];
  }
}

int32_t BpeModel::find(std::string_view text) const {
  const int32_t id = vocabulary_.find(text);
  return id < options_.vocab_size ? id : Vocabulary::kNone;
}

int32_t BpeModel::token_of(std::string_view character) const {
  return character.size() == 1 ? ascii_[static_cast<unsigned char>(character[0])] : find(character);
}

bool BpeModel::can_join(char32_t left, char32_t right) const {
  const size_t bit = joint_bit(left, right);
  return (joints_[bit >> 6] >> (bit & 63) & 1) != 0;
}

void BpeModel::encode(std::string_view text, bool plain, std::vector<int32_t>& out) const {
  if (text.empty()) return;
  if (options_.ignore_merges) {
    const int32_t whole = find(text);
    if (whole != Vocabulary::kNone && !(plain && is_control_[static_cast<size_t>(whole)])) {
      out.push_back(whole);
      return;
    }
  }
  Work work;
  // Unknown tokens may fuse across a cut, so there is none where a character could become one.
  const bool cut = may_cut_ && options_.byte_fallback && all_bytes_;
  size_t begin = 0;
  char32_t left = base::utf8_code_point(text);
  for (size_t at = base::utf8_length(text[0]); cut && at < text.size(); at += base::utf8_length(text[at])) {
    const char32_t right = base::utf8_code_point(text.substr(at));
    if (!can_join(left, right)) {
      encode_chunk(text.substr(begin, at - begin), plain, work, out);
      begin = at;
    }
    left = right;
  }
  encode_chunk(text.substr(begin), plain, work, out);
}

void BpeModel::encode_chunk(std::string_view text, bool plain, Work& work, std::vector<int32_t>& out) const {
  work.ids.clear();
  add_symbols(text, plain, work.ids);
  if (work.ids.size() < 2) {
    out.insert(out.end(), work.ids.begin(), work.ids.end());
    return;
  }
  merge_all(plain, work);
  for (int32_t i = 0; i >= 0; i = work.symbols[static_cast<size_t>(i)].next)
    out.push_back(work.symbols[static_cast<size_t>(i)].id);
}

void BpeModel::add_symbols(std::string_view text, bool plain, std::vector<int32_t>& ids) const {
  bool unknown = false;  // an unknown token waits; byte tokens overtake it, as in the package
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = text.substr(at, base::utf8_length(text[at]));
    at += character.size();
    const int32_t id = token_of(character);
    if (id != Vocabulary::kNone && !(plain && is_control_[static_cast<size_t>(id)])) {
      if (unknown) ids.push_back(options_.unk_id);
      unknown = false;
      ids.push_back(id);
      continue;
    }
    const auto has_token = [&](char c) { return byte_tokens_[static_cast<unsigned char>(c)] != Vocabulary::kNone; };
    if (options_.byte_fallback && std::all_of(character.begin(), character.end(), has_token)) {
      for (const char c : character) ids.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
    } else if (options_.unk_id != Vocabulary::kNone) {
      if (unknown && !options_.fuse_unk) ids.push_back(options_.unk_id);
      unknown = true;
    }
  }
  if (unknown) ids.push_back(options_.unk_id);
}

void BpeModel::push_candidate(int32_t left, int32_t right, bool plain, Work& work) const {
  const MergeSlot* merge =
      find_merge(work.symbols[static_cast<size_t>(left)].id, work.symbols[static_cast<size_t>(right)].id);
  if (merge == nullptr || (plain && is_control_[static_cast<size_t>(merge->result)])) return;
  work.heap.push_back({merge->rank, static_cast<uint32_t>(left), merge->result});
}

void BpeModel::merge_all(bool plain, Work& work) const {
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  };
  auto& symbols = work.symbols;
  auto& heap = work.heap;
  const auto count = static_cast<int32_t>(work.ids.size());
  symbols.clear();
  heap.clear();
  for (int32_t i = 0; i < count; ++i)
    symbols.push_back({work.ids[static_cast<size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1, true});
  for (int32_t i = 0; i + 1 < count; ++i) push_candidate(i, i + 1, plain, work);
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate top = heap.back();
    heap.pop_back();
    Symbol& left = symbols[top.position];
    if (!left.live || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    // A candidate is stale when its symbols have changed since; one that gives the same token now is not, as in the
    // package, which does not compare ranks here.
    const MergeSlot* merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->result != top.result) continue;
    left.id = top.result;
    left.next = right.next;
    right.live = false;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(top.position);
    const size_t before = heap.size();
    if (left.previous >= 0) push_candidate(left.previous, static_cast<int32_t>(top.position), plain, work);
    if (heap.size() > before) std::push_heap(heap.begin(), heap.end(), later);
    const size_t between = heap.size();
    if (left.next >= 0) push_candidate(static_cast<int32_t>(top.position), left.next, plain, work);
    if (heap.size() > between) std::push_heap(heap.begin(), heap.end(), later);
  }
}

}  // namespace dgemma::text
