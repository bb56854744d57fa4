// See tokenizer.h. Test: tests/text/tokenizer_test.cc.
#include "text/tokenizer.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer_state.h"

namespace dgemma::text {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Which ids encode_plain must never give.
std::vector<bool> control_flags(const TokenizerSpec& spec) {
  std::vector<bool> flags(static_cast<size_t>(spec.vocabulary.size()), false);
  for (const AddedToken& token : spec.added)
    flags[static_cast<size_t>(token.id)] = token.special || looks_like_control(token.content);
  return flags;
}

}  // namespace

bool looks_like_control(std::string_view text) {
  constexpr std::array<std::string_view, 8> kNames = {
      "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", "<image_soft_token>", "<audio_soft_token>"};
  constexpr std::array<std::string_view, 3> kPrefixes = {"<start_of_", "<end_of_", "<unused"};
  const auto starts = [&](std::string_view prefix) { return text.starts_with(prefix) && text.ends_with('>'); };
  return (text.size() > 2 && (starts("<|") || (text.starts_with('<') && text.ends_with("|>")))) ||
         std::find(kNames.begin(), kNames.end(), text) != kNames.end() ||
         std::any_of(kPrefixes.begin(), kPrefixes.end(), starts);
}

bool is_answer_marker(std::string_view text) {
  constexpr std::array<std::string_view, 7> kMarkers = {
      "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>"};
  return std::find(kMarkers.begin(), kMarkers.end(), text) != kMarkers.end();
}

std::string replace_all(std::string text, const Replacement& replacement) {
  size_t at = text.find(replacement.pattern);
  if (at == std::string::npos) return text;
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  size_t done = 0;
  for (; at != std::string::npos; at = text.find(replacement.pattern, done)) {
    out.append(text, done, at - done).append(replacement.content);
    done = at + replacement.pattern.size();
  }
  return out.append(text, done);
}

int byte_of_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Tokenizer::State::State(TokenizerSpec s)
    : spec(std::move(s)),
      kinds(static_cast<size_t>(spec.vocabulary.size()), Kind::kText),
      is_control(control_flags(spec)),
      bpe(spec.vocabulary, spec.merges, is_control, spec.bpe) {
  spec.merges = {};  // held by bpe now
  for (const AddedToken& token : spec.added) {
    const bool control = is_control[static_cast<size_t>(token.id)];
    if (is_answer_marker(token.content)) {
      kinds[static_cast<size_t>(token.id)] = token.special ? Kind::kSpecialMarker : Kind::kMarker;
    } else if (control) {
      kinds[static_cast<size_t>(token.id)] = token.special ? Kind::kSpecial : Kind::kControl;
    }
    std::string pattern = token.content;
    if (token.normalized)
      for (const Replacement& r : spec.normalizer) pattern = replace_all(std::move(pattern), r);
    (token.normalized ? normalized : raw).add(token, pattern);
    if (!control) (token.normalized ? normalized_plain : raw_plain).add(token, pattern);
  }
}

std::string Tokenizer::State::shown(int32_t id) const {
  std::string text(spec.vocabulary.text(id));
  for (const Replacement& r : spec.decoder) text = replace_all(std::move(text), r);
  return text;
}

Tokenizer Tokenizer::build(TokenizerSpec spec) { return Tokenizer(std::make_shared<const State>(std::move(spec))); }

Result<Tokenizer> Tokenizer::from_json(std::string_view bytes, const std::string& path) {
  DG_TRY_ASSIGN(TokenizerSpec spec, read_tokenizer_json(bytes, path));
  return build(std::move(spec));
}

Result<Tokenizer> Tokenizer::from_gguf_parts(const GgufTokenizerParts& parts, const std::string& path) {
  DG_TRY_ASSIGN(TokenizerSpec spec, read_gguf_tokenizer(parts, path));
  return build(std::move(spec));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const { return encode_with(text, false); }
std::vector<int32_t> Tokenizer::encode_plain(std::string_view text) const { return encode_with(text, true); }

std::vector<int32_t> Tokenizer::encode_with(std::string_view bytes, bool plain) const {
  const State& state = *state_;
  std::vector<int32_t> ids;
  const auto encode_piece = [&](std::string_view text) {
    const std::string& separator = state.spec.split_after;
    while (!separator.empty()) {
      const size_t at = text.find(separator);
      if (at == std::string_view::npos) break;
      state.bpe.encode(text.substr(0, at + separator.size()), plain, ids);
      text.remove_prefix(at + separator.size());
    }
    state.bpe.encode(text, plain, ids);
  };
  const std::string repaired = base::utf8_is_valid(bytes) ? std::string() : base::utf8_repair(bytes);
  const std::string_view text = repaired.empty() ? bytes : std::string_view(repaired);
  for (const auto& outer : (plain ? state.raw_plain : state.raw).split(text)) {
    if (outer.id >= 0) {
      ids.push_back(outer.id);
      continue;
    }
    std::string normalized(outer.text);
    for (const Replacement& r : state.spec.normalizer) normalized = replace_all(std::move(normalized), r);
    for (const auto& inner : (plain ? state.normalized_plain : state.normalized).split(normalized)) {
      if (inner.id >= 0) {
        ids.push_back(inner.id);
      } else {
        encode_piece(inner.text);
      }
    }
  }
  return ids;
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids, ControlText control) const {
  Detokenizer detokenizer(*this, control);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!state_->spec.vocabulary.contains(ids[i])) {
      return Unexpected(ErrorCode::kInvalidRequest, base::concat("token id at position ", i, ": expected 0 to ",
                                                                 vocab_size() - 1, ", got ", ids[i]));
    }
  }
  std::string text = detokenizer.push(ids);
  return text += detokenizer.finish();
}

std::string Tokenizer::piece(int32_t id) const {
  if (!state_->spec.vocabulary.contains(id) || is_control(id)) return "";
  Detokenizer detokenizer(*this, ControlText::kKeep);
  std::string text = detokenizer.push(std::span<const int32_t>(&id, 1));
  return text += detokenizer.finish();
}

std::string Tokenizer::bytes(int32_t id) const {
  if (!state_->spec.vocabulary.contains(id)) return "";
  const std::string text = state_->shown(id);
  const int byte = state_->byte_of(text);
  return byte < 0 ? text : std::string(1, static_cast<char>(byte));
}

int32_t Tokenizer::vocab_size() const { return state_->spec.vocabulary.size(); }
int32_t Tokenizer::bos_id() const { return state_->spec.bos_id; }
int32_t Tokenizer::unk_id() const { return state_->spec.bpe.unk_id; }
int32_t Tokenizer::id_of(std::string_view token_text) const { return state_->spec.vocabulary.find(token_text); }
std::string_view Tokenizer::token_text(int32_t id) const {
  return state_->spec.vocabulary.contains(id) ? state_->spec.vocabulary.text(id) : std::string_view();
}
bool Tokenizer::is_control(int32_t id) const {
  return state_->spec.vocabulary.contains(id) && state_->is_control[static_cast<size_t>(id)];
}

}  // namespace dgemma::text
