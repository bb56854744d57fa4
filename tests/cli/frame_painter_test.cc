// Pictures drawn over each other on a model of a terminal (src/cli/frame_painter.h).
#include "cli/frame_painter.h"

#include <gtest/gtest.h>

#include "cli/screen.h"

namespace dgemma::cli {
namespace {

using Lines = std::vector<std::string>;

TEST(FramePainter, draws_over_the_former_picture) {
  Screen screen(20, 10);
  screen.write("$ dgemma\n");
  FramePainter painter;
  screen.write(painter.paint({"one", "two", "status"}));
  EXPECT_EQ(screen.text(), "$ dgemma\none\ntwo\nstatus\n");
  screen.write(painter.paint({"one", "2", "status"}));
  EXPECT_EQ(screen.text(), "$ dgemma\none\n2\nstatus\n");
  screen.write(painter.paint({"status"}));
  EXPECT_EQ(screen.text(), "$ dgemma\nstatus\n");
  screen.write(painter.paint({"a", "b", "c", "status"}));
  EXPECT_EQ(screen.text(), "$ dgemma\na\nb\nc\nstatus\n");
  screen.write(painter.erase() + "final\n");
  EXPECT_EQ(screen.text(), "$ dgemma\nfinal\n");
  EXPECT_TRUE(screen.wraps());
  EXPECT_FALSE(screen.in_update());
}

TEST(FramePainter, lines_as_wide_as_the_terminal_keep_their_last_character) {
  Screen screen(4, 10);
  FramePainter painter;
  screen.write(painter.paint({"abcd", "日本", "s"}));
  EXPECT_EQ(screen.text(), "abcd\n日本\ns\n");
  screen.write(painter.paint({"abce", "日木", "s"}));
  EXPECT_EQ(screen.text(), "abce\n日木\ns\n");
}

TEST(FramePainter, stays_in_place_at_the_bottom_of_the_screen) {
  Screen screen(20, 5);
  for (int i = 0; i < 5; ++i) screen.write("old\n");
  FramePainter painter;
  for (int i = 0; i < 20; ++i) screen.write(painter.paint({std::to_string(i), "b", "c", "status"}));
  EXPECT_EQ(screen.text(), "old\nold\nold\nold\nold\n19\nb\nc\nstatus\n");
}

TEST(FramePainter, final_lines_go_above_the_picture) {
  Screen screen(20, 6);
  FramePainter painter;
  for (int i = 0; i < 8; ++i) screen.write(painter.paint({"canvas", "status"}, "line " + std::to_string(i) + "\n"));
  screen.write(painter.erase() + "end\n");
  EXPECT_EQ(screen.text(), "line 0\nline 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nend\n");
}

TEST(FramePainter, only_lines_that_changed_are_written) {
  FramePainter painter;
  painter.paint({"a long line that stays", "x", "status"});
  const std::string bytes = painter.paint({"a long line that stays", "y", "status"});
  EXPECT_EQ(bytes.find("stays"), bytes.npos);
  EXPECT_EQ(bytes.find("status"), bytes.npos);
  EXPECT_NE(bytes.find("y"), bytes.npos);
}

TEST(FramePainter, every_picture_is_one_synchronised_update) {
  FramePainter painter;
  Screen screen(20, 6);
  screen.write(painter.paint({"a", "status"}));
  const std::string bytes = painter.paint({"b", "status"}, "done\n");
  EXPECT_TRUE(bytes.starts_with("\x1b[?2026h"));
  EXPECT_TRUE(bytes.ends_with("\x1b[?2026l"));
}

TEST(FramePainter, after_a_resize_nothing_of_the_former_picture_is_left) {
  for (const int width : {10, 14, 33, 60}) {
    Screen screen(20, 12);
    screen.write("$ a command that is longer\n");
    FramePainter painter;
    screen.write(painter.paint({"twenty cells are here", "and some more text", "x", "status line"}));
    screen.resize(width, 12);
    painter.forget();
    screen.write(painter.paint({"short", "status"}));
    const std::string text = screen.text();
    EXPECT_TRUE(text.ends_with("\nshort\nstatus\n")) << text;
    EXPECT_EQ(text.find("twenty"), text.npos) << text;
    screen.write(painter.erase() + "final\n");
    EXPECT_TRUE(screen.text().ends_with("\nfinal\n")) << screen.text();
    EXPECT_EQ(screen.text().find("status"), text.npos);
  }
}

TEST(FramePainter, leaving_puts_the_cursor_below) {
  Screen screen(20, 6);
  FramePainter painter;
  screen.write(painter.paint({"a", "b", "status"}));
  screen.write(painter.leave() + "$ ");
  EXPECT_EQ(screen.text(), "a\nb\nstatus\n$\n");
}

}  // namespace
}  // namespace dgemma::cli
