// Reads the tokenizer arrays of a GGUF file into a TokenizerSpec (tokenizer_spec.h).
//
// Model "gemma4" is the same BPE as tokenizer.json with its pipeline fixed: spaces become U+2581, characters fall back
// to bytes, control and user-defined tokens are matched in the text first. Scores are not needed: merges carry the
// order. (llama.cpp also cuts at runs of newlines; no merge of Gemma crosses such a cut.) Test:
// tests/text/tokenizer_gguf_test.cc.
#include "base/format.h"
#include "base/utf8.h"
#include "text/tokenizer_spec.h"

namespace dgemma::text {
namespace {

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

Unexpected fault(const std::string& path, const std::string& key, const std::string& expected, const std::string& got) {
  return Unexpected(ErrorCode::kModelFile,
                    base::concat(path, ": tokenizer.ggml.", key, ": expected ", expected, ", got ", got));
}

Result<void> read_tokens(const GgufTokenizerParts& parts, const std::string& path, TokenizerSpec& spec) {
  if (parts.tokens.empty()) return fault(path, "tokens", "tokens", "none");
  if (parts.token_types.size() != parts.tokens.size())
    return fault(path, "token_type", base::concat(parts.tokens.size(), " types, one for each token"),
                 std::to_string(parts.token_types.size()));
  size_t bytes = 0;
  for (const std::string_view token : parts.tokens) bytes += token.size();
  spec.vocabulary.reserve(parts.tokens.size(), bytes);
  for (size_t i = 0; i < parts.tokens.size(); ++i) {
    const std::string_view token = parts.tokens[i];
    const std::string where = base::concat("tokens[", i, "]");
    if (!base::utf8_is_valid(token)) return fault(path, where, "UTF-8", base::quoted(token));
    const int32_t id = spec.vocabulary.add(token);
    if (id == Vocabulary::kNone) return fault(path, where, "each token once", base::quoted(token) + " twice");
    const int32_t type = parts.token_types[i];
    if (type < kNormal || type > kByte)
      return fault(path, base::concat("token_type[", i, "]"), "1 to 6", std::to_string(type));
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    if (token.empty() || token.size() > AddedTokenMatcher::kMaxBytes)
      return fault(path, where, base::concat("1 to ", AddedTokenMatcher::kMaxBytes, " bytes"),
                   std::to_string(token.size()));
    AddedToken added;
    added.id = id;
    added.content = std::string(token);
    added.special = type != kUserDefined;
    spec.added.push_back(std::move(added));
  }
  return {};
}

Result<void> read_merges(const GgufTokenizerParts& parts, const std::string& path, TokenizerSpec& spec) {
  spec.merges.reserve(parts.merges.size());
  std::string joined;
  for (size_t i = 0; i < parts.merges.size(); ++i) {
    const std::string_view merge = parts.merges[i];
    const std::string where = base::concat("merges[", i, "]");
    const size_t space = merge.find(' ', 1);  // a token may begin with a space
    if (space == std::string_view::npos) return fault(path, where, "'LEFT RIGHT'", base::quoted(merge));
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    joined.assign(left).append(right);
    const BpeModel::Merge ids{spec.vocabulary.find(left), spec.vocabulary.find(right), spec.vocabulary.find(joined)};
    // Files with a cut-down vocabulary carry merges of tokens that they lack: such a merge can never apply.
    if (ids.left != Vocabulary::kNone && ids.right != Vocabulary::kNone && ids.result != Vocabulary::kNone)
      spec.merges.push_back(ids);
  }
  return {};
}

/// An optional token id of the metadata; `name` is what the token is called where the key is absent.
Result<int32_t> read_id(const std::optional<int64_t>& id, std::string_view name, const char* key,
                        const std::string& path, const Vocabulary& vocabulary) {
  if (!id) return vocabulary.find(name);
  if (*id < 0 || *id >= vocabulary.size())
    return fault(path, key, base::concat("0 to ", vocabulary.size() - 1), std::to_string(*id));
  return static_cast<int32_t>(*id);
}

}  // namespace

Result<TokenizerSpec> read_gguf_tokenizer(const GgufTokenizerParts& parts, const std::string& path) {
  if (parts.model != "gemma4") return fault(path, "model", "'gemma4'", base::quoted(parts.model));
  if (parts.add_space_prefix) return fault(path, "add_space_prefix", "false", "true");
  TokenizerSpec spec;
  DG_TRY(read_tokens(parts, path, spec));
  DG_TRY(read_merges(parts, path, spec));
  spec.bpe.vocab_size = spec.vocabulary.size();
  spec.bpe.byte_fallback = true;
  spec.bpe.fuse_unk = true;
  DG_TRY_ASSIGN(spec.bpe.unk_id, read_id(parts.unk_id, "<unk>", "unknown_token_id", path, spec.vocabulary));
  DG_TRY_ASSIGN(spec.bos_id, read_id(parts.bos_id, "<bos>", "bos_token_id", path, spec.vocabulary));
  spec.normalizer = {{" ", "\xE2\x96\x81"}};
  spec.decoder = {{"\xE2\x96\x81", " "}};
  return spec;
}

}  // namespace dgemma::text
