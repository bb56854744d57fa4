// UTF-8: cutting and repair (src/base/utf8.h). Expected repairs are those of Python's errors="replace".
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace dgemma::base {
namespace {

const std::string kFffd(kReplacementCharacter);

TEST(Utf8, replaces_each_maximal_invalid_part_once) {
  EXPECT_EQ(utf8_repair("plain, long enough for words"), "plain, long enough for words");
  EXPECT_EQ(utf8_repair("a\x80"), "a" + kFffd);
  EXPECT_EQ(utf8_repair("\xE2\x82"), kFffd);  // a cut character is one part
  EXPECT_EQ(utf8_repair("\xE2\x82z"), kFffd + "z");
  EXPECT_EQ(utf8_repair("\xF0\x9F\x98\xF0\x9F"), kFffd + kFffd);
  EXPECT_EQ(utf8_repair("\xC0\xAF"), kFffd + kFffd);                          // overlong: no lead byte at all
  EXPECT_EQ(utf8_repair("\xE0\x80\x80"), kFffd + kFffd + kFffd);              // overlong: the second byte does not fit
  EXPECT_EQ(utf8_repair("\xED\xA0\x80"), kFffd + kFffd + kFffd);              // a surrogate
  EXPECT_EQ(utf8_repair("\xF4\x90\x80\x80"), kFffd + kFffd + kFffd + kFffd);  // beyond U+10FFFF
  EXPECT_EQ(utf8_repair("\xF5"), kFffd);
}

TEST(Utf8, writes_and_reads_every_code_point) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x1000 ? 1 : 37) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    utf8_append(text, c);
    ASSERT_TRUE(utf8_is_valid(text)) << static_cast<uint32_t>(c);
    ASSERT_EQ(utf8_length(text[0]), text.size());
    ASSERT_EQ(static_cast<uint32_t>(utf8_code_point(text)), static_cast<uint32_t>(c));
    ASSERT_EQ(utf8_last("a" + text), 1u);
  }
}

TEST(Utf8, counts_characters) {
  EXPECT_EQ(utf8_characters(""), 0u);
  EXPECT_EQ(utf8_characters("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), 4u);
}

TEST(Utf8, tells_a_cut_character_from_a_wrong_one) {
  EXPECT_TRUE(utf8_first("\xF0\x9F\x98").cut);
  EXPECT_FALSE(utf8_first("\xF0\x9Fz").cut);
  EXPECT_FALSE(utf8_first("\xC0").cut);
}

}  // namespace
}  // namespace dgemma::base
