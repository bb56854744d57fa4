// Chat requests in C++ (dgemma/text.h) mean what the same ones in OpenAI form do; and their errors.
#include <gtest/gtest.h>

#include "dgemma/engine.h"
#include "golden.h"

namespace dgemma {
namespace {

std::string rendered(const Result<std::string>& prompt) {
  return prompt ? *prompt : "error: " + prompt.error().message;
}

const std::string kTools = R"([{"type": "function", "function": {"name": "weather", "parameters":
    {"type": "object", "properties": {"city": {"type": "string"}}}}}])";

TEST(ChatRequest, is_rendered_as_its_openai_form_is) {
  ChatRequest request;
  request.messages = {
      {ChatRole::kSystem, "Be \"brief\".\n"}, {ChatRole::kUser, "Hello"}, {ChatRole::kAssistant, "Hi."}};
  request.messages.push_back({.content = "<turn|> back\\slash"});
  for (const bool think : {false, true}) {
    request.think = think;
    EXPECT_EQ(rendered(render_chat(request)), rendered(render_chat(std::string(R"({"messages": [
        {"role": "system", "content": "Be \"brief\".\n"}, {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "<turn|> back\\slash"}],
        "chat_template_kwargs": {"enable_thinking": )") + (think ? "true}}" : "false}}"))));
  }
}

TEST(ChatRequest, has_tools_their_calls_and_results) {
  ChatRequest request;
  request.tools = kTools;
  request.messages = {{ChatRole::kUser, "Is it warmer in Rome or in Oslo?"}};
  request.messages.push_back({.role = ChatRole::kAssistant,
                              .tool_calls = {{"weather", R"({"city": "Rome"})"}, {"climate", R"({"city": "Oslo"})"}}});
  request.messages.push_back({.role = ChatRole::kTool, .content = "30", .tool = "weather"});
  request.messages.push_back({.role = ChatRole::kTool, .content = "12", .tool = "climate"});
  EXPECT_EQ(rendered(render_chat(request)), rendered(render_chat(R"({"tools": )" + kTools + R"(, "messages": [
      {"role": "user", "content": "Is it warmer in Rome or in Oslo?"},
      {"role": "assistant", "content": "", "tool_calls": [
          {"id": "a", "function": {"name": "weather", "arguments": {"city": "Rome"}}},
          {"id": "b", "function": {"name": "climate", "arguments": {"city": "Oslo"}}}]},
      {"role": "tool", "tool_call_id": "a", "content": "30"}, {"role": "tool", "tool_call_id": "b", "content": "12"}]})")));
}

TEST(ChatRequest, invalid_utf8_becomes_replacement_characters) {
  EXPECT_EQ(rendered(render_chat({.messages = {{.content = "a\xFF\xE6\x97z"}}})),
            rendered(render_chat({.messages = {{.content = "a\uFFFD\uFFFDz"}}})));
}

TEST(ChatRequest, errors_name_the_field) {
  EXPECT_EQ(rendered(render_chat(ChatRequest{})), "error: messages: expected at least one message, got none");
  EXPECT_EQ(rendered(render_chat({.messages = {{.content = "a"}}, .tools = "{}"})),
            "error: tools: expected an array as JSON text, got an object");
  EXPECT_TRUE(rendered(render_chat({.messages = {{.content = "a"}}, .tools = "["})).starts_with("error: tools: "));
  const ChatMessage call{.role = ChatRole::kAssistant, .tool_calls = {{"f", "3"}}};
  EXPECT_EQ(rendered(render_chat({.messages = {call}})),
            "error: messages[0].tool_calls[0].arguments: expected an object as JSON text, got an integer");
}

TEST(ChatRequest, becomes_the_timeline_that_its_openai_form_becomes) {
  const Engine engine = Engine::open({.model_path = std::string(DGEMMA_SOURCE_DIR) + "/models/pocket"}).value();
  const ChatRequest request{.messages = {{ChatRole::kUser, "What is a canvas?"}}};
  const std::string json = R"({"messages": [{"role": "user", "content": "What is a canvas?"}]})";
  Session session = engine.new_session({}).value();
  ASSERT_TRUE(session.sync_chat(request));
  const std::vector<int32_t> ids(session.tokens().begin(), session.tokens().end());
  EXPECT_EQ(ids, engine.encode_chat(json).value());
  EXPECT_EQ(ids, engine.encode_chat(request).value());
  const Engine without = Engine::open({.model_path = golden::folder() + "tiny-a"}).value();
  EXPECT_EQ(without.encode_chat(request).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace dgemma
