// AnswerParser (src/text/answer_parser.h).
#include "text/answer_parser.h"

#include <gtest/gtest.h>

#include "text/chat.h"

namespace dgemma::text {
namespace {

std::string shape(const AnswerDelta& answer) {
  std::string out = answer.content;
  if (!answer.reasoning.empty()) out = "(" + answer.reasoning + ")" + out;
  for (const ToolCall& call : answer.tool_calls) out += "[" + call.name + call.arguments + "]";
  return out;
}
std::string parsed(std::string_view text) { return shape(parse_answer(text)); }

TEST(AnswerParser, splits_reasoning_content_and_calls) {
  EXPECT_EQ(parsed("Hello"), "Hello");
  EXPECT_EQ(parsed("<|channel>thought\nLet me\nsee.\n<channel|>It is 4."), "(Let me\nsee.)It is 4.");
  EXPECT_EQ(parsed("<|channel>thought\n<channel|>Hi"), "Hi");
  EXPECT_EQ(parsed("<|channel>thought<channel|>Hi"), "Hi");
  EXPECT_EQ(parsed("a<|channel>thought\nx<channel|>b<|channel>thought\ny<channel|>c"), "(xy)abc");
  EXPECT_EQ(parsed(R"(Sure.<|tool_call>call:get_weather{city:<|"|>Paris, {FR}<|"|>,days:3}<tool_call|>)"),
            R"(Sure.[get_weather{"city":"Paris, {FR}","days":3}])");
  EXPECT_EQ(parsed("<|tool_call>call:a{}<tool_call|><|tool_call>call:b{}<tool_call|>"), "[a{}][b{}]");
}

TEST(AnswerParser, reads_every_kind_of_argument) {
  const auto arguments = [](const std::string& text) { return parsed("<|tool_call>call:f" + text + "<tool_call|>"); };
  EXPECT_EQ(arguments(R"({a:1,b:-2.5e3,c:true,d:false,e:null,f:None,g:[1,[],<|"|>x<|"|>],h:{i:{},j:[{k:0}]}})"),
            R"([f{"a":1,"b":-2.5e3,"c":true,"d":false,"e":null,"f":null,"g":[1,[],"x"],"h":{"i":{},"j":[{"k":0}]}}])");
  EXPECT_EQ(arguments("{s:<|\"|>\"q\"\n\\ <tool_call|> }<|\"|>}"), R"([f{"s":"\"q\"\n\\ <tool_call|> }"}])");
  EXPECT_EQ(arguments(R"({ city : Paris , when: 10:30, "k": "v\n" })"),
            R"([f{"city":"Paris","when":"10:30","k":"v\n"}])");
  EXPECT_EQ(arguments(std::string("{a:true\0x}", 10)), R"([f{"a":"true\u0000x"}])");
  EXPECT_EQ(arguments(R"({<|"|>quoted key<|"|>:007})"), R"([f{"quoted key":"007"}])");
}

TEST(AnswerParser, gives_back_what_is_no_call_word_for_word) {
  for (const std::string text :
       {"<|tool_call>call:f{a:<tool_call|>", "<|tool_call>f{}<tool_call|>", "<|tool_call>call:{}<tool_call|>",
        "<|tool_call>call:f{a:1}}<tool_call|>", "<|tool_call><tool_call|>", "<|tool_call>call:f{a:[1}<tool_call|>",
        "<|tool_call>call:f{a:<|\"|>open}<tool_call|> more", "<|tool_call>call:f{a", "<channel|>", "<tool_call|>",
        "<|\"|>", "<|tool_response>", "<|chan", "a <b> <|x|> <"})
    EXPECT_EQ(parsed(text), text);
  EXPECT_EQ(parsed("<|tool_call>call:f" + std::string(100000, '{') + "<tool_call|>").size(), 100030u);
}

TEST(AnswerParser, ends_what_was_left_open) {
  EXPECT_EQ(parsed("<|channel>thought\nstill thinking"), "(still thinking)");
  EXPECT_EQ(parsed("<|channel>thought\nline\n"), "(line\n)");
  EXPECT_EQ(parsed("<|channel>thou"), "(thou)");
  EXPECT_EQ(parsed("<|channel>thoughtful<channel|>x"), "(thoughtful)x");
  EXPECT_EQ(parsed("<|channel>other\ntext<channel|>x"), "(other\ntext)x");
  EXPECT_EQ(parsed("<|tool_call>call:f{a:1}"), R"([f{"a":1}])");
}

TEST(AnswerParser, gives_the_same_answer_for_any_cut) {
  const std::string text =
      "Well<|channel>thought\nhm <b\n\n<channel|>so < it "
      "<|is:<|tool_call>call:f{a:<|\"|>x<tool_call|><|\"|>}<tool_call|>end<|";
  const std::string expected = parsed(text);
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); second += 3) {
      AnswerParser parser;
      AnswerDelta all;
      for (const std::string& piece :
           {text.substr(0, first), text.substr(first, second - first), text.substr(second), std::string()}) {
        if (!piece.empty()) all.append(parser.push(piece));
      }
      all.append(parser.finish());
      ASSERT_EQ(shape(all), expected) << first << " " << second;
    }
  }
}

TEST(AnswerParser, gives_text_out_as_soon_as_it_is_sure) {
  AnswerParser parser;
  EXPECT_EQ(parser.push("Hel").content, "Hel");
  EXPECT_EQ(parser.push("lo <").content, "lo ");
  EXPECT_EQ(parser.push("|cha").content, "");
  EXPECT_EQ(parser.push("t> !").content, "<|chat> !");
  EXPECT_EQ(parser.push("<|channel>thought\nhm").reasoning, "hm");
  EXPECT_EQ(parser.push(" yes\n<chan").reasoning, " yes");
  EXPECT_EQ(parser.push("nel|>").reasoning, "");
}

TEST(AnswerParser, leaves_calls_in_the_content_where_they_are_wanted_as_written) {
  const std::string calls = "a<|tool_call>call:f{a:<|\"|><tool_call|><|channel><|\"|>}<tool_call|>b<|tool_call>call:g{";
  EXPECT_EQ(shape(parse_answer("<|channel>thought\nx<channel|>" + calls, ToolCalls::kWritten)), "(x)" + calls);
  for (size_t cut = 0; cut <= calls.size(); ++cut) {
    AnswerParser parser(ToolCalls::kWritten);
    const std::string first = parser.push(calls.substr(0, cut)).content;
    EXPECT_GT(first.size() + std::string_view("<|tool_call>").size(), cut) << "only a partial marker waits";
    AnswerDelta rest = parser.push(calls.substr(cut));
    rest.append(parser.finish());
    EXPECT_EQ(first + rest.content, calls) << cut;
  }
}

TEST(AnswerParser, reads_the_calls_that_the_chat_template_writes) {
  const std::string arguments =
      R"({"B":[1,{"x":null}],"a":"it's \"so\"","deep":{"k":{"l":[true,false]}},"n":-1.5,"z":123456789012345678901234567890})";
  const auto request = ChatRequest::parse(
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":)" +
      arguments + "}}]}]}");
  ASSERT_TRUE(request) << request.error().message;
  const std::string prompt = render_chat(*request);
  const size_t begin = prompt.find("call:"), end = prompt.find("<tool_call|>");
  const auto call = parse_tool_call(std::string_view(prompt).substr(begin, end - begin));
  ASSERT_TRUE(call);
  std::string sorted = arguments;  // dictsort: a before B
  const std::string b = R"("B":[1,{"x":null}],)", a = R"("a":"it's \"so\"",)";
  sorted.replace(1, b.size() + a.size(), a + b);
  EXPECT_EQ(call->arguments, sorted);
}

}  // namespace
}  // namespace dgemma::text
