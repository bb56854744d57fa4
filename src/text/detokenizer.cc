// See detokenizer.h. Test: tests/text/detokenizer_test.cc.
#include "text/detokenizer.h"

#include "base/utf8.h"
#include "text/tokenizer_state.h"

namespace dgemma::text {

bool Detokenizer::dropped(int32_t id) const {
  using Kind = Tokenizer::Kind;
  const Kind kind = tokenizer_.state_->kinds[static_cast<size_t>(id)];
  switch (control_) {
    case ControlText::kKeep:
      return false;
    case ControlText::kDropSpecial:
      return kind == Kind::kSpecial || kind == Kind::kSpecialMarker;
    case ControlText::kKeepMarkers:
      return kind == Kind::kSpecial || kind == Kind::kControl;
  }
  return false;
}

std::string Detokenizer::push(std::span<const int32_t> ids) {
  const Tokenizer::State& state = *tokenizer_.state_;
  std::string out;
  for (const int32_t id : ids) {
    if (!state.spec.vocabulary.contains(id) || dropped(id)) continue;
    std::string text = state.shown(id);
    const int byte = state.byte_of(text);
    if (byte >= 0) {
      bytes_ += static_cast<char>(static_cast<unsigned char>(byte));
      continue;
    }
    out += finish();
    out += text;
  }
  return out;
}

std::string Detokenizer::finish() {
  std::string out;
  if (base::utf8_is_valid(bytes_)) {
    out = std::move(bytes_);
  } else {
    for (size_t i = 0; i < bytes_.size(); ++i) out += base::kReplacementCharacter;
  }
  bytes_.clear();
  return out;
}

}  // namespace dgemma::text
