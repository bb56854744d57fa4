// The text of an answer as it grows by canvases (src/cli/answering.h).
#include "cli/answering.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace dgemma::cli {
namespace {

AnswerParts add(AnswerText& text, std::string_view canvas, const std::vector<int32_t>& tokens = {}) {
  Committed committed;
  committed.text = canvas;
  committed.tokens = tokens;
  return text.add(committed);
}

TEST(AnswerText, thoughts_never_reach_the_content) {
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

TEST(AnswerText, raw_text_is_left_as_it_is) {
  AnswerText text(false, true);
  EXPECT_EQ(add(text, "<|channel>thought\na").content, "<|channel>thought\na");
}

TEST(AnswerText, without_a_tokenizer_ids_are_the_text) {
  AnswerText text(true, false);
  EXPECT_EQ(add(text, "", {5, 6}).content, "5,6");
  EXPECT_EQ(add(text, "", {7}).content, ",7");
  EXPECT_EQ(text.parts().content, "5,6,7");
}

TEST(Answering, ctrl_c_while_the_prompt_is_made_stops_the_answer) {
  Signals signals;  // before the engine's threads
  const Engine engine = Engine::open({.model_path = std::string(DGEMMA_SOURCE_DIR) + "/models/pocket"}).value();
  Session session = engine.new_session({}).value();
  Program program{{}, Output(STDOUT_FILENO), signals};
  const AnswerArguments arguments;
  AnswerPlan plan;
  plan.arguments = &arguments;
  plan.print = false;
  plan.options.eos_ids = std::vector<int32_t>{};
  plan.sync = [](Session& s) {
    ::kill(::getpid(), SIGINT);
    return s.sync_tokens(std::vector<int32_t>{5, 6, 7});
  };
  const auto shown = answer_and_show(session, engine, plan, program);
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(shown->answer.summary.reason, FinishReason::kCancelled);
}

}  // namespace
}  // namespace dgemma::cli
