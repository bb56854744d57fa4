// TokenizerSpec: a tokenizer as a file describes it, checked and ready to build; and the two readers that make one.
//
// tokenizer.json in the format of the `tokenizers` package, as Gemma 3 and 4 use it: BPE, literal Replace normalizers,
// a literal Split, a decoder of Replace, ByteFallback, Fuse. Anything else is refused by name, never ignored, because
// it would change ids. (truncation, padding and post_processor are ignored: encode applies none of them.) GGUF: the
// arrays of tokenizer.ggml.* with model "gemma4". Every id of a spec is below vocabulary.size() and every merge is
// resolved. Sources: docs/MODEL.md, "GGUF"; the files themselves. Test: tests/text/tokenizer_json_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/result.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/vocabulary.h"

namespace dgemma::text {

/// Every occurrence of `pattern` becomes `content`.
struct Replacement {
  std::string pattern;  ///< not empty
  std::string content;
};

struct TokenizerSpec {
  Vocabulary vocabulary;  ///< added tokens included
  std::vector<BpeModel::Merge> merges;
  std::vector<AddedToken> added;
  BpeOptions bpe;
  std::vector<Replacement> normalizer;  ///< applied in order before BPE
  std::string split_after;              ///< pieces end after it; empty: no splitting
  std::vector<Replacement> decoder;     ///< applied in order to each token's text
  bool decode_bytes = true;             ///< tokens <0xXX> are bytes
  int32_t bos_id = Vocabulary::kNone;
};

/// Reads a tokenizer.json. `path` stands in messages. Errors: kModelFile, naming the field.
Result<TokenizerSpec> read_tokenizer_json(std::string_view bytes, const std::string& path);

/// The arrays of a GGUF file's metadata, as they lie there.
struct GgufTokenizerParts {
  std::string model;                         ///< tokenizer.ggml.model
  std::span<const std::string_view> tokens;  ///< tokenizer.ggml.tokens
  std::span<const int32_t> token_types;      ///< tokenizer.ggml.token_type: 1 normal, 2 unknown, 3 control,
                                             ///< 4 user-defined, 5 unused, 6 byte
  std::span<const std::string_view> merges;  ///< tokenizer.ggml.merges: "left right"
  std::optional<int64_t> bos_id;             ///< tokenizer.ggml.bos_token_id
  std::optional<int64_t> unk_id;             ///< tokenizer.ggml.unknown_token_id
  bool add_space_prefix = false;             ///< tokenizer.ggml.add_space_prefix; true is refused
};

/// Reads the tokenizer of a GGUF file. Errors: kModelFile, naming the metadata key.
Result<TokenizerSpec> read_gguf_tokenizer(const GgufTokenizerParts& parts, const std::string& path);

}  // namespace dgemma::text
