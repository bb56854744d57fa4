// BpeModel: byte pair encoding of one piece of normalized text, merge by merge in the order of their ranks.
//
// The same ids as the `tokenizers` package, whose rules are: every character starts as its own token, or as the tokens
// of its bytes (byte fallback), or as the unknown token; then the adjacent pair with the lowest rank merges, leftmost
// first, until none is left. A heap and a linked list make that n log n. The text is first cut wherever no merge can
// ever join what stands left and right (see can_join), so that a heap stays as small as a word though Gemma has no
// word splitting. It knows nothing of added tokens or white space; see tokenizer.h.
// Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units" (ACL 2016).
// Test: tests/text/tokenizer_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace dgemma::text {

struct BpeOptions {
  bool byte_fallback = false;
  bool fuse_unk = false;       ///< a run of unknown characters is one unknown token
  bool ignore_merges = false;  ///< a piece that is a token stays whole
  int32_t unk_id = Vocabulary::kNone;
  int32_t vocab_size = 0;  ///< ids from here on are added tokens that BPE does not know
};

class BpeModel {
 public:
  struct Merge {
    int32_t left, right, result;
  };
  /// `merges` in the order of their ranks; of equal pairs the last counts. `is_control` [vocabulary] tells which ids
  /// encode(..., plain) must never give.
  BpeModel(const Vocabulary& vocabulary, const std::vector<Merge>& merges, const std::vector<bool>& is_control,
           const BpeOptions& options);

  /// Appends the ids of `text` (valid UTF-8) to `out`. With `plain`, no id of a control token comes out, whatever the
  /// merges say; the unknown token, where the vocabulary cannot spell a character, is the one exception.
  void encode(std::string_view text, bool plain, std::vector<int32_t>& out) const;

 private:
  struct MergeSlot {
    uint64_t pair;  // left << 32 | right
    uint32_t rank;
    int32_t result;  // kNone: free slot
  };
  struct Symbol {
    int32_t id, previous, next;
    bool live;
  };
  struct Candidate {
    uint32_t rank, position;
    int32_t result;
  };
  struct Work;

  static uint64_t pair_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  const MergeSlot* find_merge(int32_t left, int32_t right) const;
  void insert_merge(uint64_t pair, uint32_t rank, int32_t result);
  int32_t find(std::string_view text) const;
  int32_t token_of(std::string_view character) const;
  bool can_join(char32_t left, char32_t right) const;
  void encode_chunk(std::string_view text, bool plain, Work& work, std::vector<int32_t>& out) const;
  void add_symbols(std::string_view text, bool plain, std::vector<int32_t>& ids) const;
  void merge_all(bool plain, Work& work) const;
  void push_candidate(int32_t left, int32_t right, bool plain, Work& work) const;

  const Vocabulary& vocabulary_;
  const std::vector<bool>& is_control_;
  BpeOptions options_;
  std::vector<MergeSlot> merges_;         // open addressing, a power of two
  std::array<int32_t, 128> ascii_;        // token of each ASCII character
  std::array<int32_t, 256> byte_tokens_;  // token <0xXX> of each byte
  bool all_bytes_ = true;                 // every byte has one
  // Bit (left, right) hashed: some merge joins a token that ends in `left` with one that starts with `right`. A clear
  // bit proves that a cut there changes nothing; a set bit by collision only misses a cut.
  std::vector<uint64_t> joints_;
  bool may_cut_ = true;
};

}  // namespace dgemma::text
