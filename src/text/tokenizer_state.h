// Tokenizer's insides, shared by tokenizer.cc and detokenizer.cc; nothing else includes this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace dgemma::text {

/// The value of a token text of the form <0xXX>, -1 for any other.
int byte_of_token(std::string_view token_text);

struct Tokenizer::State {
  explicit State(TokenizerSpec s);
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// The text of a token after the decoder's replacements, before bytes are joined.
  std::string shown(int32_t id) const;
  /// The byte that a shown text stands for, -1 where it is text.
  int byte_of(std::string_view shown) const { return spec.decode_bytes ? byte_of_token(shown) : -1; }

  TokenizerSpec spec;
  std::vector<Kind> kinds;       // [vocabulary]
  std::vector<bool> is_control;  // [vocabulary]
  AddedTokenMatcher raw;         // added tokens looked for before the normalizer
  AddedTokenMatcher raw_plain;   // the same without control tokens
  AddedTokenMatcher normalized;  // added tokens looked for after it
  AddedTokenMatcher normalized_plain;
  BpeModel bpe;
};

/// Every occurrence replaced, left to right.
std::string replace_all(std::string text, const Replacement& replacement);

}  // namespace dgemma::text
