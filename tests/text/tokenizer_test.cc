// Tokenizer (src/text/tokenizer.h): ids recorded from the PyPI package `tokenizers` by tools/make_tokenizer_fixture.py,
// the plain encoding, and time on long texts.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <sstream>

#include "base/utf8.h"
#include "text/json_tree.h"
#include "text/test_tokenizer.h"

namespace dgemma::text {
namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

std::vector<int32_t> ids_in(const JsonTree& list) {
  std::vector<int32_t> ids;
  for (const JsonTree& item : list.items) ids.push_back(std::stoi(item.text));
  return ids;
}

/// Each line of a .jsonl file under tests/data/text.
std::vector<JsonTree> records(const std::string& name) {
  std::vector<JsonTree> all;
  std::istringstream lines(test_data(name));
  for (std::string line; std::getline(lines, line);) all.push_back(*parse_json(line, name, ErrorCode::kInternal));
  return all;
}

TEST(Tokenizer, gives_the_ids_of_the_tokenizers_package) {
  const std::map<std::string, Tokenizer> tokenizers = {{"gemma3_small", gemma3_test_tokenizer()},
                                                       {"gemma4_small", gemma4_test_tokenizer()}};
  const auto cases = records("tokenizer_cases.jsonl");
  EXPECT_GT(cases.size(), 400u);
  for (const JsonTree& record : cases) {
    const Tokenizer& tokenizer = tokenizers.at(record.find("tokenizer")->text);
    ASSERT_EQ(tokenizer.encode(from_hex(record.find("hex")->text)), ids_in(*record.find("ids")))
        << record.find("tokenizer")->text << " " << record.find("hex")->text;
  }
}

TEST(Tokenizer, gives_the_ids_and_texts_of_the_package_for_every_flag_of_the_format) {
  const auto variants = records("tokenizer_variants.jsonl");
  EXPECT_GE(variants.size(), 17u);
  for (size_t v = 0; v < variants.size(); ++v) {
    const auto tokenizer = Tokenizer::from_json(json_text(*variants[v].find("tokenizer")), "variant");
    ASSERT_TRUE(tokenizer) << v << ": " << tokenizer.error().message;
    for (const JsonTree& record : variants[v].find("cases")->items) {
      const std::string& text = record.items[0].text;
      const auto ids = tokenizer->encode(text);
      ASSERT_EQ(ids, ids_in(record.items[1])) << "variant " << v << ": '" << text << "'";
      EXPECT_EQ(*tokenizer->decode(ids, ControlText::kDropSpecial), record.items[2].text) << "variant " << v;
      EXPECT_EQ(*tokenizer->decode(ids, ControlText::kKeep), record.items[3].text) << "variant " << v;
    }
  }
}

TEST(Tokenizer, decodes_what_it_encoded) {
  for (const Tokenizer& tokenizer : {gemma3_test_tokenizer(), gemma4_test_tokenizer()}) {
    for (const JsonTree& record : records("tokenizer_cases.jsonl")) {
      const std::string text = base::utf8_repair(from_hex(record.find("hex")->text));
      if (text.find("\xE2\x96\x81") != std::string::npos || text.find("<0x") != std::string::npos) continue;
      ASSERT_EQ(*tokenizer.decode(tokenizer.encode(text), ControlText::kKeep), text);
      ASSERT_EQ(*tokenizer.decode(tokenizer.encode_plain(text), ControlText::kDropSpecial), text);
    }
  }
}

TEST(Tokenizer, plain_text_never_becomes_a_control_token) {
  const Tokenizer gemma3 = gemma3_test_tokenizer(), gemma4 = gemma4_test_tokenizer();
  for (const Tokenizer& tokenizer : {gemma3, gemma4}) {
    for (const JsonTree& record : records("tokenizer_cases.jsonl"))
      for (const int32_t id : tokenizer.encode_plain(from_hex(record.find("hex")->text)))
        ASSERT_FALSE(tokenizer.is_control(id)) << record.find("hex")->text;
  }
  EXPECT_EQ(gemma4.encode("<|turn>"), std::vector<int32_t>{gemma4.id_of("<|turn>")});
  EXPECT_GT(gemma4.encode_plain("<|turn>").size(), 1u);
  EXPECT_GT(gemma3.encode_plain("<unused12>").size(), 1u);
}

TEST(Tokenizer, plain_text_keeps_added_tokens_that_are_text) {
  const Tokenizer tokenizer = gemma3_test_tokenizer();
  EXPECT_EQ(tokenizer.encode_plain("\n\n\n"), std::vector<int32_t>{tokenizer.id_of("\n\n\n")});
  EXPECT_EQ(tokenizer.encode_plain("<h1>"), std::vector<int32_t>{tokenizer.id_of("<h1>")});
  EXPECT_FALSE(tokenizer.is_control(tokenizer.id_of("<h1>")));
  EXPECT_TRUE(tokenizer.is_control(tokenizer.id_of("<start_of_turn>")));  // not special in Gemma 3's file
  EXPECT_TRUE(tokenizer.is_control(tokenizer.id_of("<unused12>")));
}

TEST(Tokenizer, merges_and_characters_that_are_control_tokens_do_not_count_in_plain_text) {
  const auto tokenizer =
      Tokenizer::from_json(tokenizer_json(R"("vocab": {"<": 0, "|": 1, ">": 2, "<|": 3, "<|>": 4, "!": 5, "<0x21>": 6},
                        "merges": [["<", "|"], ["<|", ">"]])",
                                          R"(, "added_tokens": [{"id": 4, "content": "<|>", "special": true},
                                           {"id": 5, "content": "!", "special": true}])"),
                           "file");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("<|>!"), (std::vector<int32_t>{4, 5}));
  EXPECT_EQ(tokenizer->encode_plain("<|>!"), (std::vector<int32_t>{3, 2, 6}));
}

TEST(Tokenizer, tells_tokens_apart) {
  const Tokenizer tokenizer = gemma4_test_tokenizer();
  EXPECT_EQ(tokenizer.bos_id(), 2);
  EXPECT_EQ(tokenizer.token_text(tokenizer.unk_id()), "<unk>");
  EXPECT_EQ(tokenizer.id_of("no such token"), -1);
  EXPECT_EQ(tokenizer.token_text(-1), "");
  EXPECT_EQ(tokenizer.token_text(tokenizer.vocab_size()), "");
  EXPECT_EQ(tokenizer.piece(tokenizer.id_of("\xE2\x96\x81the")), " the");
  EXPECT_EQ(tokenizer.piece(tokenizer.id_of("<0x41>")), "A");
  EXPECT_EQ(tokenizer.piece(tokenizer.id_of("<0xC3>")), "\xEF\xBF\xBD");
  EXPECT_EQ(tokenizer.piece(tokenizer.id_of("<|turn>")), "");
  EXPECT_EQ(tokenizer.piece(-5), "");
}

TEST(Tokenizer, refuses_to_decode_ids_outside_the_vocabulary) {
  const Tokenizer tokenizer = tiny_test_tokenizer();
  const std::vector<int32_t> ids = {1, 4};
  EXPECT_EQ(tokenizer.decode(ids, ControlText::kKeep).error().message,
            "token id at position 1: expected 0 to 3, got 4");
  const std::vector<int32_t> negative = {-1};
  EXPECT_EQ(tokenizer.decode(negative, ControlText::kKeep).error().code, ErrorCode::kInvalidRequest);
}

TEST(Tokenizer, takes_about_linear_time_for_any_text) {
  const Tokenizer tokenizer = gemma4_test_tokenizer();
  std::string words;
  while (words.size() < 1000000) words += "The quick brown fox (12) jumps\n";
  std::string letters;
  for (uint32_t x = 1; letters.size() < 1000000; x = x * 1664525 + 1013904223)
    letters += static_cast<char>('a' + (x >> 16) % 26);
  for (const std::string& text : {words, letters, std::string(1000000, 'a'), std::string(1000000, ' '),
                                  std::string(1000000, '\n'), std::string(1000000, '\xFF')}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(tokenizer.encode(text).empty());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 20.0) << text.substr(0, 20);  // 0.2 s in a release build; quadratic would be hours
  }
}

}  // namespace
}  // namespace dgemma::text
