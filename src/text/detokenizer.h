// Detokenizer: token ids in, text out, as an answer grows.
//
// Never half a UTF-8 character. Byte tokens (<0xXX>) wait until their run ends, because only the whole run tells
// whether it is text: so the pieces joined are exactly what Tokenizer::decode gives for all ids at once. A tokenizer's
// ordinary tokens are whole characters and come out at once. Test: tests/text/detokenizer_test.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "text/tokenizer.h"

namespace dgemma::text {

class Detokenizer {
 public:
  Detokenizer(Tokenizer tokenizer, ControlText control) : tokenizer_(std::move(tokenizer)), control_(control) {}

  /// The text that these ids add. Ids outside the vocabulary (a model may have more rows than the tokenizer has
  /// tokens) add nothing.
  std::string push(std::span<const int32_t> ids);
  std::string push(int32_t id) { return push(std::span<const int32_t>(&id, 1)); }
  /// What was held back: text, or one U+FFFD for each byte if the run is not UTF-8. Ready for a new text afterwards.
  std::string finish();

 private:
  bool dropped(int32_t id) const;
  Tokenizer tokenizer_;
  ControlText control_;
  std::string bytes_;  // the run of byte tokens so far
};

}  // namespace dgemma::text
