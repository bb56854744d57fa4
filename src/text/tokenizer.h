// Tokenizer: text to token ids and back, equal to the `tokenizers` package for Gemma's tokenizers.
//
// Two ways to encode. encode() takes control-token text ("<bos>", "<|turn>") for the control token, as the package
// does. encode_plain() never gives a control token, whatever the text says: what a user writes goes through it.
//
// A control token is a token that the file calls special, or an added token that reads like one: <|...> and <...|>
// forms, <start_of_...>, <end_of_...>, <unusedN>, <mask>, [multimodal] and the like (looks_like_control). Other added
// tokens, the runs of white space and the HTML tags of Gemma 3, are text and apply in both ways.
//
// Immutable and cheap to copy; any number of threads may use one. Tests: tests/text/tokenizer_test.cc (ids recorded
// from the package), tests/text/tokenizer_json_test.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/result.h"
#include "text/tokenizer_spec.h"

namespace dgemma::text {

/// What decoding does with control tokens.
enum class ControlText {
  kKeep,         ///< all are written as their text
  kDropSpecial,  ///< special ones are left out (the package's skip_special_tokens); other added tokens are written
  kKeepMarkers,  ///< only what an answer's parser needs is written: channel, tool call and tool response markers and
                 ///< the string quote (see is_answer_marker)
};

/// True for the text of a control token that is not called special by its file.
bool looks_like_control(std::string_view token_text);
/// True for the markers that split an answer into channels, tool calls and tool responses.
bool is_answer_marker(std::string_view token_text);

class Tokenizer {
 public:
  /// From the bytes of a tokenizer.json; `path` stands in messages. Errors: kModelFile.
  static Result<Tokenizer> from_json(std::string_view bytes, const std::string& path);
  /// From the metadata of a GGUF file. Errors: kModelFile.
  static Result<Tokenizer> from_gguf_parts(const GgufTokenizerParts& parts, const std::string& path);

  /// Ids of a text, no bos. Control-token text becomes control tokens. Invalid UTF-8 becomes U+FFFD, one for each
  /// maximal invalid part.
  std::vector<int32_t> encode(std::string_view text) const;
  /// The same, but no control token comes out. (The unknown token may, where a vocabulary without byte tokens cannot
  /// spell a character.)
  std::vector<int32_t> encode_plain(std::string_view text) const;
  /// Text of the ids; a run of byte tokens that is not UTF-8 becomes one U+FFFD for each byte, as in the package.
  /// Errors: kInvalidRequest (an id outside the vocabulary).
  Result<std::string> decode(std::span<const int32_t> ids, ControlText control) const;
  /// What to draw for one token alone: its text, "" for a control token or an unknown id, U+FFFD for half a character.
  std::string piece(int32_t id) const;
  /// The bytes that a token stands for: its text, a control token's too; half a character of a byte token; "" for an
  /// unknown id.
  std::string bytes(int32_t id) const;

  int32_t vocab_size() const;
  int32_t bos_id() const;  ///< -1: none
  int32_t unk_id() const;  ///< -1: none
  /// The id of exactly this token text, -1 if there is none.
  int32_t id_of(std::string_view token_text) const;
  /// The text of a token as the file has it ("\u2581the", "<0x0A>"); "" for an unknown id.
  std::string_view token_text(int32_t id) const;
  bool is_control(int32_t id) const;

 private:
  friend class Detokenizer;
  enum class Kind : uint8_t { kText, kControl, kSpecial, kMarker, kSpecialMarker };
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  static Tokenizer build(TokenizerSpec spec);
  std::vector<int32_t> encode_with(std::string_view text, bool plain) const;

  std::shared_ptr<const State> state_;
};

}  // namespace dgemma::text
