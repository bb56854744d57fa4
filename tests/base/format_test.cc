#include "base/format.h"

#include <gtest/gtest.h>

namespace dgemma::base {
namespace {

TEST(Format, bytes_have_three_digits_and_a_unit) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.50 KiB");
  EXPECT_EQ(bytes_text(uint64_t{15} << 30), "15.0 GiB");
  EXPECT_EQ(bytes_text(~uint64_t{0}), "16.0 EiB");
}

TEST(Format, untrusted_text_is_escaped_and_cut) {
  EXPECT_EQ(quoted("plain"), "'plain'");
  EXPECT_EQ(quoted("a\n\x1b[31m'\xff"), "'a\\x0A\\x1B[31m\\x27\\xFF'");
  EXPECT_EQ(quoted("abcdef", 3), "'abc...'");
  EXPECT_EQ(quoted("Grüße, 日本 👍"), "'Grüße, 日本 👍'");
  EXPECT_EQ(quoted("日本", 4), "'日...'") << "no half characters";
  EXPECT_EQ(quoted("\xE6\x97"), "'\\xE6\\x97'");
  EXPECT_EQ(quoted("\u202Ea\u009B\u2028"), "'\\xE2\\x80\\xAEa\\xC2\\x9B\\xE2\\x80\\xA8'");
}

}  // namespace
}  // namespace dgemma::base
