// The text of an answer as it grows by canvases (src/cli/answering.h).
#include "cli/answering.h"

#include <gtest/gtest.h>

namespace dgemma::cli {
namespace {

AnswerParts add(AnswerText& text, std::string_view canvas, const std::vector<int32_t>& tokens = {}) {
  Committed committed;
  committed.text = canvas;
  committed.tokens = tokens;
  return text.add(committed);
}

TEST(AnswerText, ThoughtsNeverReachTheContent) {
  AnswerText text(true, true);
  EXPECT_EQ(add(text, "<|channel>thought\nLet me ").reasoning, "Let me ");
  EXPECT_EQ(text.parts().content, "");
  const AnswerParts added = add(text, "see.<channel|>Yes");
  EXPECT_EQ(added.reasoning, "see.");
  EXPECT_EQ(added.content, "Yes");
  EXPECT_EQ(add(text, ".").content, ".");
  EXPECT_EQ(text.parts().content, "Yes.");
  EXPECT_EQ(text.parts().reasoning, "Let me see.");
}

TEST(AnswerText, RawTextIsLeftAsItIs) {
  AnswerText text(false, true);
  EXPECT_EQ(add(text, "<|channel>thought\na").content, "<|channel>thought\na");
}

TEST(AnswerText, WithoutATokenizerIdsAreTheText) {
  AnswerText text(true, false);
  EXPECT_EQ(add(text, "", {5, 6}).content, "5,6");
  EXPECT_EQ(add(text, "", {7}).content, ",7");
  EXPECT_EQ(text.parts().content, "5,6,7");
}

}  // namespace
}  // namespace dgemma::cli
