// What is typed in chat (src/cli/chat_command.h).
#include "cli/chat_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dgemma::cli {
namespace {

using ::testing::HasSubstr;

ChatInput parsed(std::string_view line) {
  auto result = parse_chat_input(line);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *result : ChatInput{};
}

std::string error_of(std::string_view line) {
  auto result = parse_chat_input(line);
  return result ? "" : result.error().message;
}

TEST(ChatCommand, text_is_a_message) {
  EXPECT_EQ(parsed("Hello /reset").action, ChatAction::kText);
  EXPECT_EQ(parsed("Hello").text, "Hello");
  EXPECT_EQ(parsed("//etc is a folder").text, "/etc is a folder");
  EXPECT_EQ(parsed("  \t").action, ChatAction::kNothing);
}

TEST(ChatCommand, every_command_is_read) {
  EXPECT_EQ(parsed("/reset").action, ChatAction::kReset);
  EXPECT_EQ(parsed(" /help ").action, ChatAction::kHelp);
  EXPECT_EQ(parsed("/exit").action, ChatAction::kExit);
  EXPECT_EQ(parsed("/quit").action, ChatAction::kExit);
  EXPECT_EQ(parsed("/system  Be brief. ").text, "Be brief.");
  EXPECT_EQ(parsed("/system").text, "");
  EXPECT_EQ(parsed("/save my file.json").text, "my file.json");
  EXPECT_EQ(parsed("/load a").action, ChatAction::kLoad);
  EXPECT_EQ(parsed("/seed 18446744073709551615").number, 18446744073709551615u);
  EXPECT_FALSE(parsed("/seed random").number);
  EXPECT_EQ(parsed("/steps 7").number, 7u);
  EXPECT_FALSE(parsed("/steps default").number);
}

TEST(ChatCommand, wrong_commands_say_what_was_expected) {
  EXPECT_THAT(error_of("/rest"), HasSubstr("command: expected /reset, /system"));
  EXPECT_THAT(error_of("/seed"), HasSubstr("/seed: expected a whole number of 64 bits, or random, got nothing"));
  EXPECT_THAT(error_of("/seed -1"), HasSubstr("got '-1'"));
  EXPECT_THAT(error_of("/steps 0"), HasSubstr("/steps: expected a whole number from 1"));
  EXPECT_THAT(error_of("/save"), HasSubstr("/save: expected a file, got nothing"));
  EXPECT_THAT(error_of("/reset now"), HasSubstr("/reset: expected nothing after it, got 'now'"));
}

TEST(ChatCommand, help_names_every_command) {
  for (const char* name : {"/reset", "/system", "/seed", "/steps", "/save", "/load", "/exit", "Ctrl-C"})
    EXPECT_THAT(std::string(chat_help()), HasSubstr(name));
}

TEST(InputJoiner, a_backslash_goes_on_in_the_next_line) {
  InputJoiner joiner;
  EXPECT_FALSE(joiner.add("one\\"));
  EXPECT_TRUE(joiner.open());
  EXPECT_FALSE(joiner.add("\\"));
  EXPECT_TRUE(joiner.add("three"));
  EXPECT_EQ(joiner.take(), "one\n\nthree");
  EXPECT_TRUE(joiner.add("next"));
  EXPECT_EQ(joiner.take(), "next");
}

TEST(InputJoiner, quotes_hold_anything) {
  InputJoiner joiner;
  EXPECT_FALSE(joiner.add("\"\"\""));
  EXPECT_FALSE(joiner.add("/reset is text here\\"));
  EXPECT_FALSE(joiner.add(""));
  EXPECT_TRUE(joiner.add("end\"\"\""));
  EXPECT_TRUE(joiner.verbatim());
  EXPECT_EQ(joiner.take(), "/reset is text here\\\n\nend");
  EXPECT_FALSE(joiner.verbatim());
  EXPECT_TRUE(joiner.add("\"\"\"all on one line\"\"\""));
  EXPECT_EQ(joiner.take(), "all on one line");
  EXPECT_FALSE(joiner.add("\"\"\"first"));
  EXPECT_TRUE(joiner.add("\"\"\""));
  EXPECT_EQ(joiner.take(), "first\n");
}

}  // namespace
}  // namespace dgemma::cli
