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
}

}  // namespace
}  // namespace dgemma::base
