// The text of an answer as it grows by canvases (src/cli/answering.h).
#include "cli/answering.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace dgemma::cli {
namespace {

std::string pocket() { return std::string(DGEMMA_SOURCE_DIR) + "/models/pocket"; }
const Tokenizer& tokenizer() {
  static const Tokenizer opened = Tokenizer::open(pocket()).value();
  return opened;
}

AnswerParts add(AnswerText& text, std::string_view canvas) {
  const std::vector<int32_t> tokens = tokenizer().encode(canvas);
  Committed committed;
  committed.text = canvas;
  committed.tokens = tokens;
  return text.add(committed);
}

TEST(AnswerText, thoughts_never_reach_the_content) {
  AnswerText text(&tokenizer(), true);
  EXPECT_EQ(add(text, "<|channel>thought\nLet me ").reasoning, "Let me ");
  EXPECT_EQ(text.parts().content, "");
  const AnswerParts added = add(text, "see.<channel|>Yes");
  EXPECT_EQ(added.reasoning, "see.");
  EXPECT_EQ(added.content, "Yes");
  EXPECT_EQ(add(text, ".").content, ".");
  EXPECT_EQ(text.parts().content, "Yes.");
  EXPECT_EQ(text.parts().reasoning, "Let me see.");
}

TEST(AnswerText, what_came_is_never_taken_back) {
  AnswerText text(&tokenizer(), true);
  EXPECT_EQ(add(text, "<|channel>thou").reasoning, "");
  EXPECT_EQ(add(text, "ght\nLet me see.\n").reasoning, "Let me see.");  // the line end may be the channel's
  EXPECT_EQ(add(text, "<channel|>Yes.").reasoning, "");
  EXPECT_EQ(text.parts().reasoning, "Let me see.");
}

TEST(AnswerText, tool_calls_are_content_as_the_model_wrote_them) {
  const std::string call = R"(<|tool_call>call:f{a:<|"|><|channel>x<|"|>}<tool_call|>)";
  AnswerText text(&tokenizer(), true);
  EXPECT_EQ(add(text, "Look." + call.substr(0, 20)).content, "Look." + call.substr(0, 20));
  add(text, call.substr(20) + " Done.");
  EXPECT_EQ(text.parts().content, "Look." + call + " Done.");
  EXPECT_EQ(text.parts().reasoning, "");
}

TEST(AnswerText, a_character_of_several_tokens_comes_at_the_end) {
  for (const bool split : {true, false}) {
    const std::string smile = "\U0001F600";
    ASSERT_GT(tokenizer().encode(smile).size(), 1u);
    AnswerText text(&tokenizer(), split);
    Committed committed;
    const std::vector<int32_t> tokens = tokenizer().encode("Hi " + smile);
    committed.tokens = tokens;
    committed.text = "Hi ";
    EXPECT_EQ(text.add(committed).content, "Hi ");
    Answer answer;
    answer.text = "Hi " + smile;
    EXPECT_EQ(text.finish(answer).content, smile);
    EXPECT_EQ(text.parts().content, answer.text);
  }
}

TEST(AnswerText, raw_text_is_left_as_it_is) {
  AnswerText text(&tokenizer(), false);
  EXPECT_EQ(add(text, "<|channel>thought\na").content, "<|channel>thought\na");
}

TEST(AnswerText, without_a_tokenizer_ids_are_the_text) {
  AnswerText text(nullptr, true);
  const std::vector<int32_t> two = {5, 6}, one = {7};
  Committed committed;
  committed.tokens = two;
  EXPECT_EQ(text.add(committed).content, "5,6");
  committed.tokens = one;
  EXPECT_EQ(text.add(committed).content, ",7");
  EXPECT_EQ(text.finish({}).content, "");
  EXPECT_EQ(text.parts().content, "5,6,7");
}

TEST(Answering, ctrl_c_while_the_prompt_is_made_stops_the_answer) {
  Signals signals;  // before the engine's threads
  const Engine engine = Engine::open({.model_path = pocket()}).value();
  Session session = engine.new_session({}).value();
  Program program{{}, Output(STDOUT_FILENO), signals};
  const AnswerArguments arguments;
  AnswerPlan plan;
  plan.arguments = &arguments;
  plan.print = false;
  plan.options.eos_ids = std::vector<int32_t>{}, plan.options.seed = 7;
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
