// Properties of characters (src/text/unicode.h); expected values are those of Python 3.11's str.
#include "text/unicode.h"

#include <gtest/gtest.h>

namespace dgemma::text {
namespace {

TEST(Unicode, strips_what_python_calls_space) {
  EXPECT_EQ(python_strip(" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f a b \xC2\x85\xC2\xA0\xE3\x80\x80"), "a b");
  EXPECT_EQ(python_strip("\xE2\x80\x8B"), "\xE2\x80\x8B");  // a zero-width space is none
  EXPECT_EQ(python_strip(" \n "), "");
}

TEST(Unicode, knows_full_case_mappings) {
  EXPECT_EQ(python_upper("stra\xC3\x9F"
                         "e \xEF\xAC\x81 \xC3\xA9"),
            "STRASSE FI \xC3\x89");
  EXPECT_EQ(python_lower("\xC4\xB0X"), "i\xCC\x87x");
  EXPECT_EQ(python_lower("\xCE\xA3\xCE\xA3 \xCE\xA3"), "\xCF\x83\xCF\x82 \xCF\x83");  // a sigma that ends a word
}

TEST(Unicode, tells_rust_words_and_spaces) {
  for (const char32_t c : {U'a', U'_', U'7', U'\u00e9', U'\u0301', U'\u30a2', U'\u24b6', U'\u200d'})
    EXPECT_TRUE(is_regex_word(c)) << static_cast<uint32_t>(c);
  for (const char32_t c : {U' ', U'-', U'<', U'\u25cf', U'\u00a0'})
    EXPECT_FALSE(is_regex_word(c)) << static_cast<uint32_t>(c);
  EXPECT_TRUE(is_regex_space(0x85));
  EXPECT_FALSE(is_regex_space(0x1C));
  EXPECT_TRUE(is_python_space(0x1C));
}

}  // namespace
}  // namespace dgemma::text
