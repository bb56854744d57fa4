// Pieces of an answer from scripted events: stop strings, tool calls, thoughts, probabilities.
#include "server/assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tiny_service.h"

namespace dgemma::server {
namespace {

using testing::ElementsAre;

const Tokenizer& tokenizer() {
  static const Tokenizer tiny = [] {
    const std::string path = testing::TempDir() + "assembler_tokenizer.json";
    std::ofstream(path) << testing_service::tiny_tokenizer().dump();
    return std::move(Tokenizer::open(path)).value();
  }();
  return tiny;
}

/// What a sink gets, joined.
struct Collected : AnswerSink {
  void started(int, const Started&) override {}
  void piece(int, AnswerPiece piece) override {
    content += piece.content, reasoning += piece.reasoning;
    contents.push_back(piece.content);
    for (const ToolCall& call : piece.tool_calls) calls.push_back(call.name + call.arguments);
    for (const TokenLogprob& token : piece.logprobs) logprobs.push_back(token.text);
  }
  void ended(int, const AnswerEnd& e) override { end = e; }
  void done(const AnswerUsage&) override {}
  void failed(const ApiError&) override {}
  std::string content, reasoning;
  std::vector<std::string> contents, calls, logprobs;
  AnswerEnd end;
};

/// An answer whose canvases are these texts.
Collected answer(const AnswerRequest& request, const std::vector<std::string>& canvases,
                 FinishReason reason = FinishReason::kStop) {
  Collected sink;
  bool enough = false;
  AnswerAssembler assembler(request, tokenizer(), 0, sink, [&enough] { enough = true; });
  int number = 0;
  for (const std::string& text : canvases) {
    if (enough) break;
    const std::vector<int32_t> ids = tokenizer().encode(text);
    const std::vector<float> logprobs(ids.size(), -0.5F);
    CanvasDraft draft;
    draft.last = true, draft.best_logprob = logprobs;
    assembler.on_event(draft);
    assembler.on_event(Committed{number++, 1, true, ids, ids, text});
  }
  Finished finished;
  finished.reason = enough ? FinishReason::kCancelled : reason;
  assembler.on_event(finished);
  return sink;
}

TEST(Assembler, a_stop_string_across_canvases_cuts_the_text_and_the_count) {
  AnswerRequest request;
  request.stop = {"END"};
  const Collected got = answer(request, {"one E", "ND two", "three"});
  EXPECT_EQ(got.content, "one ");
  EXPECT_EQ(got.end.reason, EndReason::kStopString);
  EXPECT_EQ(got.end.stop, "END");
  EXPECT_EQ(got.end.usage.completion_tokens, 7) << "one, space, E, N, D: up to the end of the stop string";
}

TEST(Assembler, a_beginning_of_a_stop_string_comes_out_when_the_answer_ends) {
  AnswerRequest request;
  request.stop = {"END"};
  EXPECT_THAT(answer(request, {"one EN"}).contents, ElementsAre("one ", "EN"));
}

TEST(Assembler, a_stop_string_within_thoughts_does_not_count) {
  AnswerRequest request;
  request.stop = {"x"};
  const Collected got = answer(request, {"<|channel>thought\nax<channel|>bc"});
  EXPECT_EQ(got.reasoning, "ax");
  EXPECT_EQ(got.content, "bc");
  EXPECT_EQ(got.end.reason, EndReason::kStop);
}

TEST(Assembler, tool_calls_are_taken_out_of_the_text) {
  const std::string call = "<|tool_call>call:f{a:1}<tool_call|>";
  const Collected got = answer({}, {"Hm." + call.substr(0, 20), call.substr(20) + call});
  EXPECT_EQ(got.content, "Hm.");
  EXPECT_THAT(got.calls, ElementsAre(R"(f{"a":1})", R"(f{"a":1})"));
  EXPECT_EQ(got.end.reason, EndReason::kToolCalls);
}

TEST(Assembler, one_tool_call_is_enough_where_the_request_says_so) {
  AnswerRequest request;
  request.several_tool_calls = false;
  const std::string call = "<|tool_call>call:f{a:1}<tool_call|>";
  const Collected got = answer(request, {call + call, call});
  EXPECT_EQ(got.calls.size(), 1u);
  EXPECT_EQ(got.end.reason, EndReason::kToolCalls);
}

TEST(Assembler, a_forced_beginning_belongs_to_the_call) {
  AnswerRequest request;
  request.forced = tokenizer().encode("<|tool_call>call:f{");
  EXPECT_THAT(answer(request, {"a:1}<tool_call|>"}).calls, ElementsAre(R"(f{"a":1})"));
}

TEST(Assembler, half_a_character_waits_for_the_next_canvas) {
  const std::vector<int32_t> ids = tokenizer().encode("\u00e9");  // two byte tokens
  ASSERT_EQ(ids.size(), 2u);
  Collected sink;
  const AnswerRequest request;
  AnswerAssembler assembler(request, tokenizer(), 0, sink, [] {});
  const std::span<const int32_t> all(ids);
  assembler.on_event(Committed{0, 1, true, all.first(1), all.first(1), ""});
  EXPECT_TRUE(sink.contents.empty());
  assembler.on_event(Committed{1, 1, true, all.last(1), all.last(1), ""});
  assembler.on_event(Finished{});
  EXPECT_EQ(sink.content, "\u00e9");
}

TEST(Assembler, probabilities_come_for_the_tokens_of_the_content_that_is_sent) {
  AnswerRequest request;
  request.logprobs = true;
  request.stop = {"d"};
  for (const char* thought : {"xy", "xy\n", "", "\n"})
    EXPECT_THAT(answer(request, {std::string("<|channel>thought\n") + thought + "<channel|>abcde"}).logprobs,
                ElementsAre("a", "b", "c"))
        << thought;
}

TEST(Assembler, the_limit_and_the_end_token_are_told_apart) {
  EXPECT_EQ(answer({}, {"a"}, FinishReason::kLength).end.reason, EndReason::kLength);
  EXPECT_EQ(answer({}, {"a"}, FinishReason::kStop).end.reason, EndReason::kStop);
  EXPECT_EQ(answer({}, {"a"}, FinishReason::kCancelled).end.reason, EndReason::kCancelled);
}

}  // namespace
}  // namespace dgemma::server
