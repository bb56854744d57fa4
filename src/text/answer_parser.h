// AnswerParser: an answer's text, as it grows, split into content, reasoning and tool calls.
//
// Its input is the detokenizer's text with the answer's markers kept (ControlText::kKeepMarkers):
//
//     <|channel>thought\n REASONING <channel|> CONTENT <|tool_call>call:NAME{key:<|"|>text<|"|>,n:1}<tool_call|>
//
// A marker that has come only in part is held back until more text decides; a tool call that is to be read until it is
// whole. Nothing is thrown away: a tool call that cannot be read is content, word for word. Source: the chat template's
// own way to write these (chat_template.cc), read backwards. Test: tests/text/answer_parser_test.cc, fuzz/chat_fuzz.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dgemma::text {

inline constexpr std::string_view kQuote = "<|\"|>";  ///< before and after a string of a tool call

struct ToolCall {
  std::string name;
  std::string arguments;  ///< a JSON object as text
};

/// What some text added to an answer.
struct AnswerDelta {
  std::string content;
  std::string reasoning;  ///< without the channel's name and the line ends around it
  std::vector<ToolCall> tool_calls;

  /// Puts what came after it behind it.
  void append(AnswerDelta more);
};

/// What becomes of tool calls.
enum class ToolCalls {
  kRead,     ///< each is a ToolCall
  kWritten,  ///< they are content as the model wrote them
};

class AnswerParser {
 public:
  explicit AnswerParser(ToolCalls calls = ToolCalls::kRead) : calls_(calls) {}
  /// The next piece of text (valid UTF-8).
  AnswerDelta push(std::string_view text);
  /// The end of the answer: what was held back. Ready for a new answer afterwards.
  AnswerDelta finish();

 private:
  enum class Place { kContent, kChannelName, kReasoning, kToolCall };
  bool step(AnswerDelta& out, bool last);
  bool content_step(AnswerDelta& out, bool last);
  bool name_step(bool last);
  bool reasoning_step(AnswerDelta& out, bool last);
  bool call_step(AnswerDelta& out, bool last);
  void end_call(AnswerDelta& out, size_t body, size_t whole);

  ToolCalls calls_;
  Place place_ = Place::kContent;
  std::string pending_;  // text not yet given out; of a tool call with its marker
  size_t scanned_ = 0;   // of pending_, within a tool call: known to hold no end
  bool in_quote_ = false;
};

/// A whole answer at once.
AnswerDelta parse_answer(std::string_view text, ToolCalls calls = ToolCalls::kRead);

/// Reads `call:NAME{...}`; nothing when it is not of that form. Bare words that are no JSON become strings.
std::optional<ToolCall> parse_tool_call(std::string_view text);

}  // namespace dgemma::text
