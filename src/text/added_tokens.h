// AddedTokenMatcher: finds added tokens in text before BPE sees it, leftmost first and the longest of those.
//
// The same as the `tokenizers` package does: a match may take in the white space beside it (lstrip, rstrip) or count
// only between non-word characters (single_word). A trie over bytes, walked from every position: the longest token
// bounds the work per byte (kMaxBytes). Source: the behaviour of the package's added vocabulary, version 0.23.
// Test: tests/text/tokenizer_test.cc (recorded variants, one for each flag).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dgemma::text {

struct AddedToken {
  int32_t id = 0;
  std::string content;       ///< valid UTF-8, not empty
  bool special = false;      ///< left out by decoding without special tokens
  bool normalized = false;   ///< looked for in the text after the normalizer
  bool lstrip = false;       ///< takes in white space before it
  bool rstrip = false;       ///< takes in white space after it
  bool single_word = false;  ///< only where no word character stands beside it
};

class AddedTokenMatcher {
 public:
  /// The most bytes of one added token.
  static constexpr size_t kMaxBytes = 512;

  /// A piece of text, in order, without gaps: an added token, or text between them (id -1).
  struct Piece {
    int32_t id;
    std::string_view text;
  };

  void add(const AddedToken& token, std::string_view pattern);
  bool empty() const { return tokens_.empty(); }
  /// Cuts valid UTF-8; empty text gives no pieces.
  std::vector<Piece> split(std::string_view text) const;

 private:
  struct Node {
    int32_t child = -1, sibling = -1;
    int32_t token = -1;  // index into tokens_
    char byte = 0;
  };
  struct Token {
    int32_t id;
    bool lstrip, rstrip, single_word;
  };
  struct Match {
    int32_t token = -1;
    size_t length = 0;
  };
  int32_t child_of(int32_t node, char byte) const;
  Match longest_at(std::string_view text) const;

  std::vector<Token> tokens_;
  std::vector<Node> nodes_;
  std::array<int32_t, 256> roots_ = filled(-1);
  static constexpr std::array<int32_t, 256> filled(int32_t value) {
    std::array<int32_t, 256> a{};
    a.fill(value);
    return a;
  }
};

}  // namespace dgemma::text
