// Text that is safe to show, and how wide it is (src/cli/terminal_text.h).
#include "cli/terminal_text.h"

#include <gtest/gtest.h>

namespace dgemma::cli {
namespace {

TEST(TerminalText, control_characters_become_visible) {
  EXPECT_EQ(safe_for_terminal("a\x1b[31m\rb\x07\x7f\n\tc"), "a␛[31m␍b␇␡\n\tc");
  EXPECT_EQ(safe_for_terminal("\xC2\x9B"
                              "2J \xC2\x85"),
            "\uFFFD2J \uFFFD")
      << "C1, which some terminals obey";
  EXPECT_EQ(safe_for_terminal(std::string_view("\0x", 2)), "␀x");
}

TEST(TerminalText, what_is_not_utf8_is_replaced) {
  EXPECT_EQ(safe_for_terminal("a\xE6\x97z\xF0\x9F\x98"), "a\uFFFDz\uFFFD");
  EXPECT_EQ(safe_for_terminal("é日👍"), "é日👍");
}

TEST(TerminalText, width_counts_cells) {
  EXPECT_EQ(text_width("abc"), 3);
  EXPECT_EQ(text_width("日本"), 4);
  EXPECT_EQ(text_width("e\u0301"), 1);
  EXPECT_EQ(text_width("👍"), 2);
}

}  // namespace
}  // namespace dgemma::cli
