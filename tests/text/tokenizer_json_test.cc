// tokenizer.json files that are wrong (src/text/tokenizer_json.cc): each is refused with file, field, expected and got.
#include <gtest/gtest.h>

#include "text/test_tokenizer.h"

namespace dgemma::text {
namespace {

const std::string kGood = R"("vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]])";

std::string outcome(const std::string& json) {
  const auto tokenizer = Tokenizer::from_json(json, "f.json");
  if (tokenizer) return "ok";
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kModelFile);
  return tokenizer.error().message;
}
std::string with_model(const std::string& model) { return outcome(tokenizer_json(model)); }
std::string with_rest(const std::string& rest) { return outcome(tokenizer_json(kGood, ", " + rest)); }

TEST(TokenizerJson, takes_what_is_right) {
  EXPECT_EQ(with_model(kGood), "ok");
  EXPECT_EQ(with_model(R"("merges": ["a b"], "vocab": {"ab": 2, "a": 0, "b": 1})"), "ok");  // any order
  EXPECT_EQ(with_rest(R"("truncation": {"max_length": 5}, "post_processor": {"type": "Unknown"})"), "ok");
}

TEST(TokenizerJson, refuses_wrong_vocabularies) {
  EXPECT_EQ(with_model(R"("merges": [])"), "f.json: model.vocab: expected an object of token ids, got nothing");
  EXPECT_EQ(with_model(R"("vocab": {}, "merges": [])"), "f.json: model.vocab: expected tokens, got none");
  EXPECT_EQ(with_model(R"("vocab": [1], "merges": [])"),
            "f.json: model.vocab: expected an object of token ids, got nothing");
  EXPECT_EQ(with_model(R"("vocab": {"a": "0"}, "merges": [])"),
            "f.json: model.vocab['a']: expected an id (0, 1, ...), got a string");
  EXPECT_EQ(with_model(R"("vocab": {"a": -1}, "merges": [])"),
            "f.json: model.vocab['a']: expected an id (0, 1, ...), got -1");
  EXPECT_EQ(with_model(R"("vocab": {"a": 0.5}, "merges": [])"),
            "f.json: model.vocab['a']: expected an id (0, 1, ...), got 0.5");
  EXPECT_EQ(with_model(R"("vocab": {"a": 9223372036854775808}, "merges": [])"),
            "f.json: model.vocab['a']: expected an id of 0 to 0 (1 tokens without gaps), got 9223372036854775808");
  EXPECT_EQ(with_model(R"("vocab": {"a": 0, "b": 2}, "merges": [])"),
            "f.json: model.vocab['b']: expected an id of 0 to 1 (2 tokens without gaps), got 2");
  EXPECT_EQ(with_model(R"("vocab": {"a": 0, "b": 0}, "merges": [])"),
            "f.json: model.vocab['b']: expected an id of its own, got 0, which 'a' has");
  EXPECT_EQ(with_model(R"("vocab": {"a": 0, "a": 1}, "merges": [])"),
            "f.json: model.vocab: expected each token once, got 'a' twice");
  EXPECT_EQ(with_model(R"("vocab": {"a": {}}, "merges": [])"),
            "f.json: model.vocab['a']: expected an id (0, 1, ...), got an object");
}

TEST(TokenizerJson, refuses_wrong_merges) {
  const std::string vocab = R"("vocab": {"a": 0, "b": 1, "ab": 2}, )";
  EXPECT_EQ(with_model(R"("vocab": {"a": 0})"), "f.json: model.merges: expected an array, got nothing");
  EXPECT_EQ(with_model(vocab + R"("merges": [["a", "b"], ["a", "c"]])"),
            "f.json: model.merges[1]: expected tokens of the vocabulary, got 'c'");
  EXPECT_EQ(with_model(vocab + R"("merges": [["b", "a"]])"),
            "f.json: model.merges[0]: expected tokens of the vocabulary, got 'ba'");
  EXPECT_EQ(with_model(vocab + R"("merges": [["a"]])"), "f.json: model.merges[0]: expected two texts, got 1");
  EXPECT_EQ(with_model(vocab + R"("merges": [["a", "b", "a"]])"), "f.json: model.merges[0]: expected two texts, got 3");
  EXPECT_EQ(with_model(vocab + R"("merges": ["ab"])"), "f.json: model.merges[0]: expected 'LEFT RIGHT', got 'ab'");
  EXPECT_EQ(with_model(vocab + R"("merges": [5])"),
            "f.json: model.merges[0]: expected a string or two strings, got an integer");
  EXPECT_EQ(with_model(vocab + R"("merges": [[["a"]]])"),
            "f.json: model.merges[0]: expected a string or two strings, got an array");
}

TEST(TokenizerJson, refuses_wrong_added_tokens) {
  const auto added = [](const std::string& list) { return with_rest("\"added_tokens\": " + list); };
  EXPECT_EQ(added(R"([{"id": 3, "content": "c"}])"), "ok");
  EXPECT_EQ(added("5"), "f.json: added_tokens: expected an array, got 5");
  EXPECT_EQ(added("[5]"), "f.json: added_tokens[0]: expected an object, got 5");
  EXPECT_EQ(added(R"([{"content": "c"}])"), "f.json: added_tokens[0].id: expected an integer, got nothing");
  EXPECT_EQ(added(R"([{"id": 9223372036854775807, "content": "c"}])"),
            "f.json: added_tokens[0].id: expected an id of 0 to 999999999, got 9223372036854775807");
  EXPECT_EQ(added(R"([{"id": 900000000, "content": "c"}])"),
            "f.json: added_tokens[0] 'c': expected the next free id 3, got 900000000");
  EXPECT_EQ(added(R"([{"id": 1, "content": "a"}])"),
            "f.json: added_tokens[0] 'a': expected the vocabulary's id 0, got 1");
  EXPECT_EQ(added(R"([{"id": 3, "content": "c"}, {"id": 3, "content": "d"}])"),
            "f.json: added_tokens[1] 'd': expected an id of its own, got 3 twice");
  EXPECT_EQ(added(R"([{"id": 3, "content": ""}])"), "f.json: added_tokens[0].content: expected 1 to 512 bytes, got 0");
  EXPECT_EQ(added(R"([{"id": 3, "content": "c", "lstrip": 1}])"),
            "f.json: added_tokens[0].lstrip: expected true or false, got 1");
}

TEST(TokenizerJson, names_the_component_that_it_does_not_know) {
  EXPECT_EQ(outcome(R"({"model": {"type": "Unigram", "vocab": {}, "merges": []}})"),
            "f.json: model.type: expected 'BPE', got 'Unigram'");
  EXPECT_EQ(with_rest(R"("normalizer": {"type": "NFKC"})"), "f.json: normalizer.type: expected 'Replace', got 'NFKC'");
  EXPECT_EQ(with_rest(R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})"),
            "f.json: normalizer.type: expected 'Replace', got 'Lowercase'");
  EXPECT_EQ(with_rest(R"("normalizer": {"type": "Replace", "pattern": {"Regex": " "}, "content": ""})"),
            "f.json: normalizer.pattern: expected {\"String\": ...}, got {\"Regex\":\" \"}");
  EXPECT_EQ(with_rest(R"("pre_tokenizer": {"type": "ByteLevel"})"),
            "f.json: pre_tokenizer.type: expected 'Split', got 'ByteLevel'");
  EXPECT_EQ(with_rest(R"("pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated"})"),
            "f.json: pre_tokenizer.behavior: expected 'MergedWithPrevious', got 'Isolated'");
  EXPECT_EQ(outcome(R"({"model": {"vocab": {"a": 0}, "merges": []}})"),
            "f.json: decoder: expected a Sequence of Replace, ByteFallback and Fuse, got none");
  EXPECT_EQ(with_model(kGood + R"(, "dropout": 0.1)"), "f.json: model.dropout: expected null, got 0.1");
  EXPECT_EQ(with_model(kGood + R"(, "end_of_word_suffix": "</w>")"),
            "f.json: model.end_of_word_suffix: expected null, got '</w>'");
  EXPECT_EQ(with_model(kGood + R"(, "unk_token": "zz")"),
            "f.json: model.unk_token: expected a token of the vocabulary, got 'zz'");
}

TEST(TokenizerJson, refuses_files_that_are_no_tokenizer) {
  EXPECT_EQ(outcome("[]"), "f.json: top level: expected an object, got an array");
  EXPECT_EQ(outcome("{}"), "f.json: model: expected an object, got nothing");
  EXPECT_EQ(outcome(R"({"model": 5})"), "f.json: model: expected an object, got 5");
  EXPECT_EQ(outcome(std::string(1000000, '[')), "f.json: expected JSON nested at most 100 levels deep, got more");
  std::string deep = "{";
  for (int i = 0; i < 200000; ++i) deep += "\"a\":{";
  EXPECT_EQ(outcome(deep), "f.json: expected JSON nested at most 100 levels deep, got more");
}

TEST(TokenizerJson, refuses_a_zero_byte) {
  const std::string whole = tokenizer_json(kGood);
  EXPECT_EQ(outcome(whole + '\0'), "f.json: expected JSON, got a zero byte at byte " + std::to_string(whole.size()));
}

TEST(TokenizerJson, refuses_a_file_cut_at_any_byte) {
  const std::string whole = tokenizer_json(kGood, R"(, "added_tokens": [{"id": 3, "content": "<\u00e9>"}])");
  ASSERT_EQ(outcome(whole), "ok");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(outcome(whole.substr(0, n)), "ok") << n;
}

}  // namespace
}  // namespace dgemma::text
