// Detokenizer (src/text/detokenizer.h).
#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "text/test_tokenizer.h"

namespace dgemma::text {
namespace {

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::initializer_list<const char*> tokens) {
  std::vector<int32_t> ids;
  for (const char* token : tokens) ids.push_back(tokenizer.id_of(token));
  return ids;
}

TEST(Detokenizer, never_gives_half_a_character) {
  const Tokenizer tokenizer = gemma4_test_tokenizer();
  Detokenizer out(tokenizer, ControlText::kKeep);
  EXPECT_EQ(out.push(tokenizer.id_of("<0xF0>")), "");
  EXPECT_EQ(out.push(tokenizer.id_of("<0x9F>")), "");
  EXPECT_EQ(out.push(tokenizer.id_of("<0x98>")), "");
  EXPECT_EQ(out.push(tokenizer.id_of("<0x80>")), "");
  EXPECT_EQ(out.push(tokenizer.id_of("a")),
            "\xF0\x9F\x98\x80"
            "a");
  EXPECT_EQ(out.push(tokenizer.id_of("<0xE2>")), "");
  EXPECT_EQ(out.finish(), base::kReplacementCharacter);
  EXPECT_EQ(out.finish(), "");
}

TEST(Tokenizer, tells_the_bytes_of_one_token) {
  const Tokenizer tokenizer = gemma4_test_tokenizer();
  EXPECT_EQ(tokenizer.bytes(tokenizer.id_of("a")), "a");
  EXPECT_EQ(tokenizer.bytes(tokenizer.id_of("<0xF0>")), "\xF0");
  EXPECT_EQ(tokenizer.bytes(tokenizer.id_of("<eos>")), "<eos>");
  EXPECT_EQ(tokenizer.bytes(-1), "");
}

TEST(Detokenizer, gives_the_same_text_for_any_grouping_of_the_ids) {
  const Tokenizer tokenizer = gemma4_test_tokenizer();
  uint32_t x = 7;
  for (int round = 0; round < 200; ++round) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 40; ++i) {
      x = x * 1664525 + 1013904223;
      const auto byte_token = static_cast<int32_t>(tokenizer.id_of("<0x00>") + static_cast<int32_t>(x >> 24));
      ids.push_back(x >> 8 & 1 ? byte_token : static_cast<int32_t>((x >> 12) % tokenizer.vocab_size()));
    }
    for (const ControlText control : {ControlText::kKeep, ControlText::kDropSpecial, ControlText::kKeepMarkers}) {
      Detokenizer one_by_one(tokenizer, control), whole(tokenizer, control);
      std::string text;
      for (const int32_t id : ids) {
        text += one_by_one.push(id);
        ASSERT_TRUE(base::utf8_is_valid(text));
      }
      text += one_by_one.finish();
      std::string at_once = whole.push(ids);
      at_once += whole.finish();
      ASSERT_EQ(text, at_once);
      if (control != ControlText::kKeepMarkers) {
        ASSERT_EQ(text, *tokenizer.decode(ids, control));
      }
    }
  }
}

TEST(Detokenizer, keeps_what_parsers_need_and_drops_the_other_control_tokens) {
  const Tokenizer tokenizer = gemma4_test_tokenizer();
  const auto ids = ids_of(tokenizer, {"<bos>", "<|turn>", "<|channel>", "a", "<channel|>", "<|tool_call>", "<|\"|>",
                                      "b", "<|\"|>", "<tool_call|>", "<|tool_response>", "<turn|>", "<pad>"});
  Detokenizer out(tokenizer, ControlText::kKeepMarkers);
  EXPECT_EQ(out.push(ids), "<|channel>a<channel|><|tool_call><|\"|>b<|\"|><tool_call|><|tool_response>");
  EXPECT_EQ(*tokenizer.decode(ids, ControlText::kDropSpecial), "ab");
}

TEST(Detokenizer, skips_ids_that_have_no_token) {
  Detokenizer out(tiny_test_tokenizer(), ControlText::kKeep);
  const std::vector<int32_t> ids = {1, 99999, -1, 2};
  EXPECT_EQ(out.push(ids), "ab");
}

}  // namespace
}  // namespace dgemma::text
