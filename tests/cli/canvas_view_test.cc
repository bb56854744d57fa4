// Golden pictures of a canvas (src/cli/canvas_view.h, cells.h, palette.h).
#include "cli/canvas_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "cli/canvas_script.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::map<int32_t, std::string> kWords = {{1, ""},      {2, ""},         {10, "The"},    {11, " cat"},
                                               {12, " sat"}, {13, "."},       {14, "\n"},     {15, "日本"},
                                               {16, "👍"},    {17, "e"},       {18, "\u0301"}, {19, " on"},
                                               {20, "\t"},   {21, "\x1b[2J"}, {22, "x\n\ny"}, {23, "\xEF\xBF\xBD"}};

CanvasView view_of(ColorDepth colors = ColorDepth::kNone, const std::vector<int32_t>& eos = {1}) {
  CanvasView view(texts(kWords), colors);
  start(view, eos);
  return view;
}

TEST(CanvasView, shows_that_the_prompt_is_read) {
  EXPECT_THAT(view_of().frame(80, 10), ElementsAre("", "reading the prompt: 2 tokens"));
}

TEST(CanvasView, shows_best_tokens_and_the_noise_that_is_left) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{10, 0, true}, {11, 0.5, false}, {12, 9, false, 77}, {13, 0, true}}).event());
  EXPECT_THAT(view.frame(80, 10), ElementsAre("The cat<77>.", "canvas 1 · step 1/48 · 2/4 accepted · entropy 2.38"));
}

TEST(CanvasView, the_last_step_shows_what_the_canvas_becomes) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{10, 3, false, 77}, {11, 9, false, 78}}, true).event());
  EXPECT_EQ(view.frame(80, 10)[0], "The cat");
}

TEST(CanvasView, colours_say_what_a_token_is_now) {
  CanvasView view = view_of(ColorDepth::kBasic);
  const std::vector<ScriptedDraft::Row> rows = {{10, 0, true}, {11, 0.1f, false}, {12, 9, false, 13}};
  view.draft(ScriptedDraft(0, rows).event());
  EXPECT_EQ(view.frame(80, 10)[0], "\x1b[1;32mThe\x1b[0m\x1b[36m cat\x1b[0m\x1b[2m.\x1b[0m");
  view.draft(ScriptedDraft(1, rows).event());
  view.draft(ScriptedDraft(2, rows).event());
  EXPECT_THAT(view.frame(80, 10)[0], HasSubstr("\x1b[1mThe\x1b[0m")) << "unchanged for several steps: settled";
  EXPECT_EQ(view.frame(80, 7).size(), 2u) << "no line for the legend";
  ASSERT_EQ(view.frame(60, 8).size(), 3u);
  EXPECT_THAT(view.frame(60, 8)[2], HasSubstr("\x1b[1msettled\x1b[0m"));
  EXPECT_THAT(view.frame(60, 8)[2], HasSubstr("∎ end"));
  EXPECT_THAT(view.frame(20, 8)[2], Not(HasSubstr("settled"))) << "no room for it";
}

TEST(CanvasView, a_draft_gets_another_shade_as_its_entropy_falls) {
  CanvasView view = view_of(ColorDepth::kTrue);
  view.draft(ScriptedDraft(0, {{10, 1.9f, false}, {10, 1.2f, false}, {10, 0.8f, false}, {10, 0.01f, false}}).event());
  const std::string line = view.frame(80, 10)[0];
  const Palette palette(ColorDepth::kTrue);
  for (int shade = 0; shade < kDraftShades; ++shade)
    EXPECT_THAT(line, HasSubstr(palette.begin(TokenState::kDraft, shade) + "The"));
}

TEST(CanvasView, newlines_break_lines_unless_they_are_noise) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{10, 0, true}, {14, 1, false}, {22, 0, true}, {13, 9, false, 14}}).event());
  EXPECT_THAT(view.frame(80, 10), ElementsAre("The", "x", "", "y↵", testing::_));
}

TEST(CanvasView, breaks_lines_where_the_terminal_would) {
  CanvasView view = view_of();
  view.draft(
      ScriptedDraft(
          0, {{10, 0, true}, {11, 0, true}, {12, 0, true}, {19, 0, true}, {10, 0, true}, {11, 0, true}, {12, 0, true}})
          .event());
  EXPECT_THAT(view.frame(20, 10), ElementsAre("The cat sat onThe ca", "t sat", "canvas 1"));
  EXPECT_LE(text_width(view.frame(20, 10).back()), 19);
}

TEST(CanvasView, a_wide_character_that_does_not_fit_goes_to_the_next_line) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{13, 0, true}, {15, 0, true}, {15, 0, true}, {16, 0, true}}).event());
  EXPECT_THAT(view.frame(4, 10), ElementsAre(".日", "本日", "本👍", testing::_));
}

TEST(CanvasView, an_accent_stays_with_its_letter_across_tokens) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{18, 0, true}, {17, 0, true}, {18, 0, true}, {17, 0, true}}).event());
  EXPECT_THAT(view.frame(3, 10), ElementsAre("◌\u0301e\u0301e", testing::_)) << "one cell each";
}

TEST(CanvasView, the_bytes_of_one_character_are_shown_together) {
  TokenTexts both = texts(kWords);
  both.decode = [](std::span<const int32_t> ids) { return ids.size() == 2 ? std::string("é") : std::string("?"); };
  CanvasView view(both, ColorDepth::kNone);
  start(view);
  view.draft(ScriptedDraft(0, {{10, 0, true}, {23, 0, true}, {23, 0, true}, {13, 0, true}}).event());
  EXPECT_EQ(view.frame(80, 10)[0], "Theé.");
}

TEST(CanvasView, end_tokens_and_padding_are_one_sign) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{10, 0, true}, {1, 0, true}, {2, 0, true}, {2, 0, true}, {2, 0, true}}).event());
  EXPECT_EQ(view.frame(80, 10)[0], "The∎◇×3");
}

TEST(CanvasView, tokens_cannot_send_escape_sequences) {
  CanvasView view = view_of();
  view.draft(ScriptedDraft(0, {{21, 0, true}}).event());
  EXPECT_EQ(view.frame(80, 10)[0], "␛[2J");
  view.commit(
      "a\x1b]0;title\x07\xC2\x9B"
      "31m\n",
      false);
  EXPECT_EQ(view.take_lines(), "a␛]0;title␇\uFFFD31m\n");
}

TEST(CanvasView, the_canvas_follows_the_text_that_is_final) {
  CanvasView view = view_of();
  view.commit("First line.\nSecond ", false);
  EXPECT_EQ(view.take_lines(), "First line.\n");
  view.draft(ScriptedDraft(0, {{10, 0, true}}).event());
  EXPECT_EQ(view.frame(80, 10)[0], "Second The");
  view.commit("half", false);
  EXPECT_EQ(view.take_lines(), "");
  EXPECT_EQ(view.take_rest(), "Second half");
  EXPECT_EQ(view.take_rest(), "");
}

TEST(CanvasView, thoughts_are_faint) {
  CanvasView view = view_of(ColorDepth::kBasic);
  view.commit("Let me see.", true);
  view.commit("Yes.", false);
  EXPECT_EQ(view.take_lines(), "\x1b[2mLet me see.\n\x1b[0m");
  EXPECT_EQ(view.take_rest(), "Yes.");
}

TEST(CanvasView, a_canvas_taller_than_the_window_is_shown_where_it_still_changes) {
  CanvasView view = view_of();
  std::vector<ScriptedDraft::Row> rows;
  for (int i = 0; i < 40; ++i) {
    rows.push_back({100 + i, 0, true});
    rows.push_back({14, 0, true});
  }
  for (int step = 0; step < 3; ++step) view.draft(ScriptedDraft(step, rows).event());  // all settled now
  rows[60] = {130, 1, false};
  view.draft(ScriptedDraft(3, rows).event());
  const auto frame = view.frame(80, 6);
  EXPECT_EQ(frame.size(), 6u);
  EXPECT_EQ(frame[0], "<129>") << "one settled line above";
  EXPECT_EQ(frame[1], "<130>");
  EXPECT_THAT(frame[5], HasSubstr("lines 30-34 of 41"));
}

TEST(CanvasView, the_window_stays_while_the_changing_line_is_in_it) {
  CanvasView view = view_of();
  std::vector<ScriptedDraft::Row> rows;
  for (int i = 0; i < 40; ++i) {
    rows.push_back({100 + i, 0, true});
    rows.push_back({14, 0, true});
  }
  for (int step = 0; step < 3; ++step) view.draft(ScriptedDraft(step, rows).event());
  rows[40] = {120, 1, false};
  view.draft(ScriptedDraft(3, rows).event());
  const auto before = view.frame(80, 8);
  rows[40] = {120, 0, true};
  rows[44] = {122, 1, false};
  view.draft(ScriptedDraft(4, rows).event());
  EXPECT_EQ(view.frame(80, 8)[0], before[0]);
}

TEST(CanvasView, every_size_of_window_fits) {
  // Sequences of colours take no cells; they are taken out before cells are counted.
  const auto plain = [](const std::string& line) {
    return std::regex_replace(line, std::regex("\x1b\\[[0-9;]*m"), "");
  };
  CanvasView view = view_of(ColorDepth::kTrue);
  std::vector<ScriptedDraft::Row> rows;
  for (int i = 0; i < 64; ++i) rows.push_back({10 + i % 14, static_cast<float>(i % 3), i % 2 == 0, 15});
  view.draft(ScriptedDraft(0, rows).event());
  for (int width = 1; width < 90; ++width)
    for (int height = 0; height < 30; ++height) {
      const auto frame = view.frame(width, height);
      ASSERT_GE(frame.size(), 1u);
      ASSERT_LE(frame.size(), static_cast<size_t>(std::max(height, 1)));
      if (width >= 2) {
        for (const std::string& line : frame) ASSERT_LE(text_width(plain(line)), width) << line;
      }
      ASSERT_LE(text_width(plain(frame.back())), width - 1);
    }
}

TEST(Cells, emoji_sequences_never_take_more_cells_than_counted) {
  CellWriter writer;
  writer.add("❤\uFE0F👨\u200D👩🇩🇪\u202E!", {});
  const auto lines = break_lines(writer.take(), 80, Palette(ColorDepth::kNone));
  EXPECT_EQ(lines[0].text, "❤\uFE0F👨👩🇩🇪!") << "joiners and direction marks are left out";
  EXPECT_EQ(lines[0].width, 2 + 2 + 2 + 4 + 1);
}

TEST(Cells, tabs_go_to_multiples_of_eight) {
  CellWriter writer;
  writer.add("ab\tc", {});
  EXPECT_EQ(break_lines(writer.take(), 80, Palette(ColorDepth::kNone))[0].text, "ab      c");
}

}  // namespace
}  // namespace dgemma::cli
