// The tokenizer of a GGUF file (src/text/tokenizer_gguf.cc): the same ids as from tokenizer.json, and wrong metadata.
#include <gtest/gtest.h>

#include <functional>

#include "text/json_tree.h"
#include "text/test_tokenizer.h"

namespace dgemma::text {
namespace {

/// The arrays that a converter writes for a tokenizer.json.
struct Metadata {
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> types;
  std::vector<std::string_view> token_views, merge_views;

  GgufTokenizerParts parts() {
    token_views.assign(tokens.begin(), tokens.end());
    merge_views.assign(merges.begin(), merges.end());
    GgufTokenizerParts out;
    out.model = "gemma4";
    out.tokens = token_views;
    out.token_types = types;
    out.merges = merge_views;
    return out;
  }
};

Metadata converted(const std::string& name) {
  const auto file = parse_json(test_data(name + ".json"), name, ErrorCode::kInternal);
  const JsonTree& model = *file->find("model");
  Metadata out;
  out.tokens.resize(model.find("vocab")->members.size());
  out.types.resize(out.tokens.size(), 1);
  for (const auto& [token, id] : model.find("vocab")->members) {
    const size_t i = std::stoul(id.text);
    out.tokens[i] = token;
    if (token.starts_with("<0x") && token.size() == 6) out.types[i] = 6;
    if (token == "<unk>") out.types[i] = 2;
  }
  for (const JsonTree& added : file->find("added_tokens")->items) {
    const std::string& text = added.find("content")->text;
    const bool special = added.find("special")->is_true() && !is_answer_marker(text);
    if (text != "<unk>") out.types[std::stoul(added.find("id")->text)] = special ? 3 : 4;
  }
  for (const JsonTree& merge : model.find("merges")->items)
    out.merges.push_back(merge.items[0].text + " " + merge.items[1].text);
  return out;
}

std::string outcome(Metadata& metadata, const std::function<void(GgufTokenizerParts&)>& change = {}) {
  GgufTokenizerParts parts = metadata.parts();
  if (change) change(parts);
  const auto tokenizer = Tokenizer::from_gguf_parts(parts, "m.gguf");
  return tokenizer ? "ok" : tokenizer.error().message;
}

TEST(TokenizerGguf, gives_the_same_ids_as_the_tokenizer_json_it_was_made_of) {
  for (const std::string name : {"gemma3_small", "gemma4_small"}) {
    Metadata metadata = converted(name);
    const auto gguf = Tokenizer::from_gguf_parts(metadata.parts(), "m.gguf");
    ASSERT_TRUE(gguf) << gguf.error().message;
    const Tokenizer json = test_tokenizer(name);
    EXPECT_EQ(gguf->bos_id(), json.bos_id());
    EXPECT_EQ(gguf->unk_id(), json.unk_id());
    for (int32_t id = 0; id < json.vocab_size(); ++id) {
      ASSERT_EQ(gguf->token_text(id), json.token_text(id));
      ASSERT_EQ(gguf->is_control(id), json.is_control(id)) << json.token_text(id);
    }
    const std::string text = test_data("tokenizer_variants.jsonl").substr(0, 20000) + "<bos>\n\n\n  <|turn><h1>\t\t";
    EXPECT_EQ(gguf->encode(text), json.encode(text));
    EXPECT_EQ(gguf->encode_plain(text), json.encode_plain(text));
  }
}

TEST(TokenizerGguf, names_the_key_that_is_wrong) {
  Metadata good = converted("gemma4_small");
  const size_t count = good.tokens.size();
  EXPECT_EQ(outcome(good), "ok");
  EXPECT_EQ(outcome(good, [](auto& p) { p.model = "llama"; }),
            "m.gguf: tokenizer.ggml.model: expected 'gemma4', got 'llama'");
  EXPECT_EQ(outcome(good, [](auto& p) { p.tokens = {}; }), "m.gguf: tokenizer.ggml.tokens: expected tokens, got none");
  EXPECT_EQ(outcome(good, [](auto& p) { p.token_types = p.token_types.subspan(1); }),
            "m.gguf: tokenizer.ggml.token_type: expected " + std::to_string(count) +
                " types, one for each token, got " + std::to_string(count - 1));
  EXPECT_EQ(outcome(good, [](auto& p) { p.add_space_prefix = true; }),
            "m.gguf: tokenizer.ggml.add_space_prefix: expected false, got true");
  EXPECT_EQ(outcome(good, [](auto& p) { p.bos_id = 1 << 30; }),
            "m.gguf: tokenizer.ggml.bos_token_id: expected 0 to " + std::to_string(count - 1) + ", got 1073741824");

  Metadata bad = good;
  bad.tokens[5] = bad.tokens[4];
  EXPECT_EQ(outcome(bad), "m.gguf: tokenizer.ggml.tokens[5]: expected each token once, got '<mask>' twice");
  bad = good;
  bad.tokens[5] = "\xFF";
  EXPECT_EQ(outcome(bad), "m.gguf: tokenizer.ggml.tokens[5]: expected UTF-8, got '\\xFF'");
  bad = good;
  bad.types[7] = 9;
  EXPECT_EQ(outcome(bad), "m.gguf: tokenizer.ggml.token_type[7]: expected 1 to 6, got 9");
  bad = good;
  bad.merges[3] = "nospace";
  EXPECT_EQ(outcome(bad), "m.gguf: tokenizer.ggml.merges[3]: expected 'LEFT RIGHT', got 'nospace'");
  bad.merges[3] = "";
  EXPECT_EQ(outcome(bad), "m.gguf: tokenizer.ggml.merges[3]: expected 'LEFT RIGHT', got ''");
  bad.merges[3] = "absent gone";
  EXPECT_EQ(outcome(bad), "ok") << "a merge of tokens that the file lacks can never apply";
}

}  // namespace
}  // namespace dgemma::text
