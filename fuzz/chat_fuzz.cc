// Fuzzes the chat request and the answer parser, with the same bytes for both.
//
// A request that parses must render to valid UTF-8 that starts with <bos>, with no two text segments in a row. An
// answer must come out the same however it is cut, and its calls must hold valid JSON. Seeds: fuzz/corpus/chat.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "text/answer_parser.h"
#include "text/chat.h"
#include "text/json_tree.h"

namespace text = dgemma::text;

namespace {

void check_request(std::string_view json) {
  const auto request = text::ChatRequest::parse(json);
  if (!request) {
    DG_CHECK(request.error().code == dgemma::ErrorCode::kInvalidRequest && !request.error().message.empty());
    return;
  }
  const std::string prompt = text::render_chat(*request);
  DG_CHECK(prompt.starts_with("<bos>") && dgemma::base::utf8_is_valid(prompt), "prompt ", prompt);
  bool after_text = false;
  for (const text::ChatSegment& segment : request->segments()) {
    DG_CHECK(!segment.text.empty() && !(after_text && !segment.is_marker), "segments");
    after_text = !segment.is_marker;
  }
}

std::string shape(const text::AnswerDelta& answer) {
  std::string out = answer.content + "\n" + answer.reasoning;
  for (const text::ToolCall& call : answer.tool_calls) {
    const auto arguments = text::parse_json(call.arguments, "arguments", dgemma::ErrorCode::kInternal);
    DG_CHECK(arguments && arguments->is_object(), "arguments ", call.arguments);
    out += "\n" + call.name + call.arguments;
  }
  return out;
}

void check_answer(const std::string& answer, size_t step, text::ToolCalls calls) {
  text::AnswerParser parser(calls);
  text::AnswerDelta all;
  for (size_t i = 0; i < answer.size(); i += step) all.append(parser.push(std::string_view(answer).substr(i, step)));
  all.append(parser.finish());
  DG_CHECK(shape(all) == shape(text::parse_answer(answer, calls)), "a cut changed the answer");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_request(input);
  for (const auto calls : {text::ToolCalls::kRead, text::ToolCalls::kWritten})
    check_answer(dgemma::base::utf8_repair(input), size == 0 ? 1 : 1 + data[0] % 7, calls);
  return 0;
}
