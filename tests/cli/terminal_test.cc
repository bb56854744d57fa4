// The built program and the line editor in a pseudo-terminal: drawing in place, resizes, Ctrl-C, what is left behind
// (src/cli/live_display.h, terminal.h, signals.h, line_editor.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "cli/line_editor.h"
#include "cli/pseudo_terminal.h"
#include "cli/screen.h"

namespace dgemma::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

/// Runs `dgemma generate` with a tiny model that has no tokenizer: its text is token ids.
std::function<int()> generate(std::vector<std::string> arguments, const char* no_color = "") {
  const char* tiny = DGEMMA_SOURCE_DIR "/tests/data/golden/tiny-a";
  arguments.insert(arguments.begin(), {"dgemma", "generate", "-m", tiny, "--prompt-ids", "2,5,9", "--seed", "7"});
  return [arguments, no_color] {
    ::setenv("TERM", "xterm-256color", 1);
    ::setenv("NO_COLOR", no_color, 1);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(DGEMMA_PROGRAM, argv.data());
    return 99;
  };
}

/// What is left on the screen, without the summary line and what follows it.
std::string answer_of(const std::string& screen) {
  const size_t summary = screen.find(" tokens · ");
  return screen.substr(0, screen.rfind('\n', summary) + 1);
}

TEST(LiveCanvas, leaves_the_final_text_and_a_summary) {
  PseudoTerminal plain(60, 12, generate({"-n", "20", "--no-live"}));
  const std::string text = plain.read_rest();
  EXPECT_EQ(plain.exit_status(), 0);
  EXPECT_THAT(text, Not(HasSubstr("\x1b[?"))) << "no drawing";

  PseudoTerminal live(60, 12, generate({"-n", "20"}));
  const std::string bytes = live.read_rest();
  EXPECT_EQ(live.exit_status(), 0);
  Screen expected(60, 12), screen(60, 12);
  expected.write(answer_of(text));
  screen.write(bytes);
  EXPECT_EQ(answer_of(screen.text()), expected.text());
  EXPECT_THAT(screen.text(), HasSubstr("20 tokens · "));
  EXPECT_THAT(screen.text(), Not(HasSubstr("accepted"))) << "the status line is gone";
  EXPECT_GE(screen.updates(), 2);
  EXPECT_TRUE(screen.cursor_visible());
  EXPECT_TRUE(screen.wraps());
}

TEST(LiveCanvas, no_color_means_no_escape_sequences) {
  PseudoTerminal terminal(60, 12, generate({"-n", "20"}, "1"));
  EXPECT_THAT(terminal.read_rest(), Not(HasSubstr("\x1b")));
}

TEST(LiveCanvas, follows_the_windows_size) {
  // Held at the first picture, so that only resizes make the program draw.
  PseudoTerminal terminal(60, 12, generate({"-n", "20", "--pace", "60"}));
  Screen screen(60, 12);
  screen.write(terminal.read_until(
      [](const std::string& got) { return got.find("noise") != got.npos && got.ends_with("\x1b[?2026l"); }));
  for (const auto& [width, height] : {std::pair(20, 6), std::pair(100, 4), std::pair(37, 30)}) {
    terminal.resize(width, height);
    screen.resize(width, height);
    screen.write(terminal.read_until([](const std::string& got) { return got.ends_with("\x1b[?2026l"); }));
  }
  terminal.type("\x03");
  screen.write(terminal.read_rest());
  EXPECT_EQ(terminal.exit_status(), 130);
  EXPECT_THAT(screen.text(), Not(HasSubstr("noise"))) << "no frame is left";
  EXPECT_TRUE(screen.cursor_visible());
}

TEST(LiveCanvas, ctrl_c_stops_and_leaves_the_terminal_as_it_was) {
  PseudoTerminal terminal(60, 12, generate({"--eos-ids", "none", "--pace", "1"}));
  Screen screen(60, 12);
  screen.write(terminal.read_until_text("step 1/"));
  EXPECT_FALSE(terminal.echoes()) << "typing would tear the picture";
  terminal.type("\x03");
  screen.write(terminal.read_rest());
  EXPECT_TRUE(terminal.echoes());
  EXPECT_EQ(terminal.exit_status(), 130);
  EXPECT_TRUE(screen.cursor_visible());
  EXPECT_THAT(screen.text(), EndsWith("cancelled\n"));
}

TEST(LiveCanvas, an_end_from_outside_brings_the_cursor_back) {
  PseudoTerminal terminal(60, 12, generate({"--pace", "5"}));
  Screen screen(60, 12);
  screen.write(terminal.read_until_text("noise"));
  terminal.signal(SIGTERM);
  screen.write(terminal.read_rest());
  EXPECT_EQ(terminal.exit_status(), 1000 + SIGTERM);
  EXPECT_TRUE(screen.cursor_visible());
}

TEST(LineEditor, edits_lines_and_keeps_a_private_history) {
  const std::string folder = testing::TempDir() + "line_editor";
  const std::string file = folder + "/state/history";
  PseudoTerminal terminal(60, 12, [&file] {
    ::setenv("TERM", "xterm", 1);
    set_up_locale();
    Signals signals;
    LineEditor editor(signals, file);
    using Outcome = LineEditor::Outcome;
    const auto read = [&editor](Outcome outcome, const std::string& line) {
      const LineEditor::Input input = editor.read("> ");
      editor.remember(input.line);
      return input.outcome == outcome && input.line == line;
    };
    if (!read(Outcome::kLine, "acé日")) return 1;
    if (!read(Outcome::kInterrupted, "")) return 2;
    if (!read(Outcome::kLine, "acé日!")) return 3;
    if (!read(Outcome::kEnd, "")) return 4;
    return 0;
  });
  terminal.read_until_text(">");
  terminal.wait_until_edited();
  terminal.type(
      "ab\x7f"
      "cé日\r");
  terminal.read_until_next_prompt();
  terminal.type("given up\x03");
  terminal.read_until_next_prompt();
  terminal.type(
      "\x10"
      "\x10!\r");  // Ctrl-P: the entry before (the interrupt left an empty one)
  terminal.read_until_next_prompt();
  terminal.type("\x04");
  terminal.read_rest();
  EXPECT_EQ(terminal.exit_status(), 0);
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dgemma::cli
