// Bodies as requests: what is honoured, what is refused, and by which name (docs/SERVER.md, "Fields").
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/messages_request.h"

namespace dgemma::server {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

ServedModel model() {
  ServedModel m;
  m.name = "pocket", m.names = {"pocket", "file"};
  m.defaults.t_min = 0.4, m.defaults.t_max = 0.8;
  return m;
}

/// A chat request with these further fields.
Result<ChatRequest> chat(const Json& fields = Json::object()) {
  Json body = {{"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})}};
  body.update(fields);
  return parse_chat_request(body, model());
}
std::string error(const Json& fields) {
  const auto request = chat(fields);
  return request ? "fine" : request.error().message;
}

TEST(ChatRequest, takes_what_openai_clients_send) {
  const auto request = chat({{"model", "file"},
                             {"temperature", 0.5},
                             {"max_tokens", 9},
                             {"seed", 18446744073709551615u},
                             {"stop", {"a", "b"}},
                             {"stream", true},
                             {"stream_options", {{"include_usage", true}}},
                             {"top_p", 1},
                             {"frequency_penalty", 0.0},
                             {"user", "me"},
                             {"n", 2},
                             {"response_format", {{"type", "text"}}},
                             {"reasoning_effort", "high"},
                             {"logprobs", true},
                             {"top_logprobs", 20},
                             {"diffusion", {{"entropy_bound", 0.2}}}});
  ASSERT_TRUE(request) << request.error().message;
  const AnswerRequest& answer = request->answer;
  EXPECT_EQ(answer.generate.seed, 18446744073709551615u);
  EXPECT_EQ(answer.generate.max_new_tokens, 9);
  EXPECT_DOUBLE_EQ(*answer.generate.sampler.t_min, 0.2);
  EXPECT_DOUBLE_EQ(*answer.generate.sampler.t_max, 0.4);
  EXPECT_DOUBLE_EQ(*answer.generate.sampler.entropy_bound, 0.2);
  EXPECT_THAT(answer.stop, ElementsAre("a", "b"));
  EXPECT_EQ(answer.choices, 2);
  EXPECT_EQ(answer.generate.top_tokens, 20);
  EXPECT_TRUE(answer.logprobs && request->response.stream && request->response.include_usage);
  EXPECT_THAT(request->chat, HasSubstr(R"("enable_thinking":true)"));
}

TEST(ChatRequest, takes_the_newest_fields_of_openai_clients) {
  const Json part = {{"type", "text"}, {"text", "a"}, {"prompt_cache_breakpoint", {{"mode", "explicit"}}}};
  const Json message = {{"role", "user"}, {"content", Json::array({part})}};
  EXPECT_EQ(error({{"messages", Json::array({message})},
                   {"prompt_cache_options", {{"mode", "implicit"}}},
                   {"reasoning_effort", "max"}}),
            "fine");
}

TEST(ChatRequest, a_seed_is_any_whole_number_of_64_bits_however_it_is_written) {
  EXPECT_EQ(chat({{"seed", 5.0}})->answer.generate.seed, 5u);
  EXPECT_EQ(chat({{"seed", -1.0}})->answer.generate.seed, UINT64_MAX);
  EXPECT_EQ(chat({{"seed", "5"}})->answer.generate.seed, 5u);
  for (const Json& seed : {Json(5.5), Json(1e30), Json("5.0"), Json("-1"), Json(""), Json(true)})
    EXPECT_THAT(error({{"seed", seed}}), StartsWith("seed: expected a whole number of 64 bits, got ")) << seed;
}

TEST(ChatRequest, temperature_one_leaves_the_schedule_and_zero_fixes_the_seed) {
  EXPECT_FALSE(chat({{"temperature", 1}})->answer.generate.sampler.t_max);
  EXPECT_FALSE(chat({{"temperature", 1}})->answer.generate.seed);
  EXPECT_FALSE(chat({{"temperature", 0}})->answer.generate.sampler.t_max);
  EXPECT_EQ(chat({{"temperature", 0}})->answer.generate.seed, 0u);
  EXPECT_EQ(chat({{"temperature", 0}, {"seed", 5}})->answer.generate.seed, 5u);
}

TEST(ChatRequest, refuses_by_name_what_it_cannot_do) {
  EXPECT_THAT(error({{"top_p", 0.9}}), StartsWith("top_p: not supported"));
  EXPECT_THAT(error({{"logit_bias", {{"5", 1}}}}), StartsWith("logit_bias: "));
  EXPECT_THAT(error({{"presence_penalty", 1}}), StartsWith("presence_penalty: "));
  EXPECT_THAT(error({{"response_format", {{"type", "json_object"}}}}), StartsWith("response_format: "));
  EXPECT_THAT(error({{"functions", Json::array()}}), StartsWith("functions: "));
  EXPECT_THAT(error({{"logprobs", true}, {"top_logprobs", 21}}),
              StartsWith("top_logprobs: expected a whole number from 0 to 20"));
  EXPECT_THAT(error({{"top_logprobs", 1}}), StartsWith("top_logprobs: "));
  EXPECT_THAT(error({{"stream_options", {{"include_usage", true}}}}), StartsWith("stream_options: "));
  EXPECT_THAT(error({{"max_tokens", 1}, {"max_completion_tokens", 1}}), StartsWith("max_tokens: "));
  EXPECT_THAT(error({{"temprature", 1}}), StartsWith("temprature: "));
  EXPECT_THAT(error({{"diffusion", {{"drafs", true}}}}), StartsWith("diffusion.drafs: "));
  EXPECT_THAT(error({{"diffusion", {{"t_min", 0.9}}}}), StartsWith("diffusion.t_min: expected at most t_max, 0.8"));
  EXPECT_THAT(error({{"stop", {"a", "b", "c", "d", "e"}}}), StartsWith("stop: expected at most 4 strings, got 5"));
  EXPECT_THAT(error({{"stop", {"a", ""}}}), StartsWith("stop[1]: "));
  std::string accents;
  for (int i = 0; i < 1024; ++i) accents += "\u00e9";
  EXPECT_EQ(error({{"stop", accents}}), "fine");
  EXPECT_EQ(error({{"stop", accents + "e"}}), "stop: expected at most 1024 characters, got 1025");
  EXPECT_THAT(error({{"seed", 1.5}}), StartsWith("seed: "));
  EXPECT_THAT(error({{"seed", "18446744073709551616"}}), StartsWith("seed: "));
  EXPECT_THAT(error({{"model", "gpt"}}), StartsWith("model: expected 'pocket', got 'gpt'"));
  EXPECT_EQ(chat({{"model", "gpt"}}).error().code, ErrorCode::kNotFound);
}

TEST(ChatRequest, messages_have_to_be_text) {
  const Json image = Json::array(
      {{{"role", "user"}, {"content", Json::array({{{"type", "text"}, {"text", "a"}}, {{"type", "image_url"}}})}}});
  EXPECT_THAT(error({{"messages", image}}), StartsWith("messages[0].content[1].type: expected text, got 'image_url'"));
  const Json untyped = Json::array({{{"role", "user"}, {"content", Json::array({Json::object({{"text", "a"}})})}}});
  EXPECT_EQ(error({{"messages", untyped}}), "messages[0].content[0].type: expected text, got nothing");
  EXPECT_THAT(error({{"messages", Json::array()}}),
              AllOf(StartsWith("messages: expected an array of 1 to "), EndsWith(" messages, got an empty one")));
}

TEST(ChatRequest, only_an_assistants_message_may_have_no_content) {
  for (const std::string role : {"system", "developer", "user", "tool"})
    for (const Json& message : {Json{{"role", role}}, Json{{"role", role}, {"content", nullptr}}})
      EXPECT_EQ(error({{"messages", Json::array({message})}}),
                "messages[0].content: expected a string or an array of parts, got nothing");
}

TEST(ChatRequest, takes_back_the_messages_that_clients_were_given) {
  const Json call = {
      {"index", 0}, {"id", "c1"}, {"type", "function"}, {"function", {{"name", "look"}, {"arguments", "{}"}}}};
  const Json answer = {{"role", "assistant"},
                       {"content", nullptr},
                       {"refusal", nullptr},
                       {"annotations", Json::array()},
                       {"audio", nullptr},
                       {"function_call", nullptr},
                       {"tool_calls", Json::array({call})},
                       {"reasoning_content", ""},
                       {"a_new_field", nullptr}};
  const Json result = {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "seen"}};
  EXPECT_EQ(error({{"messages", Json::array({{{"role", "user"}, {"content", "a"}}, answer, result})}}), "fine");
}

TEST(ChatRequest, a_tools_result_says_which_call_it_answers_and_stands_behind_it) {
  const Json call = {{"id", "c1"}, {"type", "function"}, {"function", {{"name", "look"}, {"arguments", "{}"}}}};
  const Json asks = {{"role", "assistant"}, {"tool_calls", Json::array({call})}};
  const auto after = [](const Json& before, Json fields) {
    fields.update({{"role", "tool"}, {"content", "seen"}});
    return error({{"messages", Json::array({before, fields, fields})}});
  };
  EXPECT_EQ(after(asks, {{"tool_call_id", "c1"}}), "fine");
  EXPECT_EQ(after(asks, {{"name", "look"}}), "fine") << "as clients of older APIs have it";
  EXPECT_EQ(after(asks, Json::object()),
            "messages[1].tool_call_id: expected the id of the tool call that it answers, got nothing");
  for (const Json& other :
       {Json{{"role", "user"}, {"content", "a"}}, Json{{"role", "assistant"}, {"tool_calls", nullptr}}})
    EXPECT_EQ(after(other, {{"tool_call_id", "c1"}}),
              "messages[1].role: expected tool only behind an assistant's message with tool_calls, got 'tool'");
}

TEST(ChatRequest, names_the_fields_of_messages_and_tools_that_it_does_not_know) {
  const auto in_message = [](const Json& fields) {
    Json message = {{"role", "user"}, {"content", "a"}};
    message.update(fields);
    return error({{"messages", Json::array({message})}});
  };
  EXPECT_THAT(in_message({{"cache", true}}), StartsWith("messages[0].cache: "));
  EXPECT_THAT(in_message({{"refusal", "no"}}), StartsWith("messages[0].refusal: not supported"));
  EXPECT_THAT(in_message({{"role", "robot"}}), StartsWith("messages[0].role: expected one of system, "));
  EXPECT_THAT(in_message({{"content", Json::array({{{"type", "text"}, {"text", "a"}, {"size", 1}}})}}),
              StartsWith("messages[0].content[0].size: "));
  EXPECT_THAT(in_message({{"tool_calls", Json::array({{{"kind", 1}}})}}),
              StartsWith("messages[0].tool_calls[0].kind: "));
  const Json tool = {{"type", "function"}, {"function", {{"name", "look"}, {"returns", "x"}}}};
  EXPECT_THAT(error({{"tools", Json::array({tool})}}), StartsWith("tools[0].function.returns: "));
}

TEST(ChatRequest, a_tool_choice_begins_the_answer_or_hides_the_tools) {
  const Json tools = Json::array({{{"type", "function"}, {"function", {{"name", "look"}}}}});
  EXPECT_EQ(chat({{"tools", tools}})->forced_call, "");
  EXPECT_THAT(chat({{"tools", tools}})->chat, HasSubstr("look"));
  EXPECT_THAT(chat({{"tools", tools}, {"tool_choice", "none"}})->chat, testing::Not(HasSubstr("look")));
  EXPECT_EQ(chat({{"tools", tools}, {"tool_choice", "required"}})->forced_call, "call:");
  const Json named = {{"type", "function"}, {"function", {{"name", "look"}}}};
  EXPECT_EQ(chat({{"tools", tools}, {"tool_choice", named}})->forced_call, "call:look{");
  EXPECT_THAT(error({{"tool_choice", named}}), StartsWith("tool_choice.function.name: "));
  EXPECT_THAT(error({{"tool_choice", "required"}}), StartsWith("tools: "));
  EXPECT_THAT(error({{"tools", Json::array({{{"type", "function"}}})}}), StartsWith("tools[0].function: "));
}

TEST(ChatRequest, names_of_tools_can_be_told_apart_in_calls) {
  const auto named = [](const std::vector<Json>& names) {
    Json tools = Json::array();
    for (const Json& name : names) tools.push_back({{"type", "function"}, {"function", {{"name", name}}}});
    return error({{"tools", tools}});
  };
  EXPECT_EQ(named({"look", "Look-2", "a.b_c", std::string(128, 'x')}), "fine");
  for (const Json& name : {Json("a b"), Json("f{}<tool_call|>"), Json("a\nb"), Json("a:b"), Json("\u540d"), Json(""),
                           Json(nullptr), Json(std::string(129, 'x'))})
    EXPECT_THAT(named({name}),
                StartsWith("tools[0].function.name: expected 1 to 128 letters, digits, '_', '-' and '.', got "))
        << name;
  EXPECT_EQ(named({"look", "look"}), "tools[1].function.name: expected another name than the tools before, got 'look'");
}

/// The texts and ids of a completion's prompts, "|" behind each; or the error.
std::string prompts_of(const Json& prompt, const Json& fields = Json::object()) {
  Json body = {{"prompt", prompt}};
  body.update(fields);
  const auto request = parse_completion_request(body, model());
  if (!request) return request.error().message;
  std::string all;
  for (const CompletionPrompt& one : request->prompts) {
    all += one.text;
    for (const int32_t id : one.ids) all += std::to_string(id) + ",";
    all += "|";
  }
  return all;
}

TEST(CompletionRequest, takes_a_text_or_ids_or_several_of_them) {
  EXPECT_EQ(prompts_of("Hi"), "Hi|");
  EXPECT_EQ(prompts_of({2, 5}), "2,5,|");
  EXPECT_EQ(prompts_of(Json::array({"Hi"})), "Hi|");
  EXPECT_EQ(prompts_of({"a", "", "c"}), "a||c|");
  EXPECT_EQ(prompts_of(Json::array({{2, 5}, {7}})), "2,5,|7,|");
  EXPECT_EQ(prompts_of({"a", 5}), "prompt[1]: expected a text, or an array of token ids, got 5");
  EXPECT_EQ(prompts_of(Json::array({"a", Json::array()})),
            "prompt[1]: expected a text, or an array of token ids, got an array");
  const Json many = std::vector<std::string>(33, "a");
  EXPECT_THAT(prompts_of(many), StartsWith("a|a|"));
  EXPECT_EQ(prompts_of(many, {{"n", 2}}), "prompt: expected at most 32 prompts with n 2, got 33");
  EXPECT_EQ(prompts_of({"a", "b"}, {{"diffusion", {{"drafts", true}}}}),
            "prompt: expected one with diffusion.drafts, got an array");
  for (const Json& prompt :
       {Json::array(), Json::array({-1}), Json::array({1.5}), Json::array({1, "a"}), Json(nullptr)})
    EXPECT_THAT(prompts_of(prompt), StartsWith("prompt: expected a text, or an array of token ids, got ")) << prompt;
  EXPECT_THAT(parse_completion_request({{"prompt", "a"}, {"echo", true}}, model()).error().message,
              StartsWith("echo: "));
}

TEST(CompletionRequest, logprobs_is_a_number) {
  EXPECT_FALSE(parse_completion_request({{"prompt", "a"}}, model())->answer.logprobs);
  EXPECT_TRUE(parse_completion_request({{"prompt", "a"}, {"logprobs", 0}}, model())->answer.logprobs);
  EXPECT_EQ(parse_completion_request({{"prompt", "a"}, {"logprobs", 5}}, model())->answer.generate.top_tokens, 5);
  EXPECT_THAT(parse_completion_request({{"prompt", "a"}, {"logprobs", 6}}, model()).error().message,
              StartsWith("logprobs: expected a whole number from 0 to 5"));
}

TEST(CompletionRequest, several_choices_have_no_drafts) {
  const Json drafts = {{"drafts", true}};
  EXPECT_TRUE(parse_completion_request({{"prompt", "a"}, {"diffusion", drafts}}, model()));
  EXPECT_THAT(parse_completion_request({{"prompt", "a"}, {"n", 2}, {"diffusion", drafts}}, model()).error().message,
              StartsWith("n: expected 1 with diffusion.drafts"));
  EXPECT_THAT(error({{"n", 2}, {"diffusion", drafts}}), StartsWith("n: expected 1 with diffusion.drafts"));
}

TEST(MessagesRequest, becomes_a_chat_in_openai_form) {
  const Json body = Json::parse(R"({"max_tokens": 5, "system": [{"type": "text", "text": "Be brief."}],
    "stop_sequences": ["x"], "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": "Hi"},
      {"role": "assistant", "content": [{"type": "text", "text": "Hm"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"},
        {"type": "text", "text": "So?"}]}]})");
  const auto request = parse_messages_request(body, model());
  ASSERT_TRUE(request) << request.error().message;
  const Json chat = Json::parse(request->chat);
  EXPECT_EQ(chat["messages"], Json::parse(R"([{"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [{"type": "text", "text": "Hm"}],
     "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}}]},
    {"role": "tool", "tool_call_id": "t1", "content": "seen"},
    {"role": "user", "content": [{"type": "text", "text": "So?"}]}])"));
  EXPECT_EQ(chat["tools"][0]["function"]["parameters"]["type"], "object");
  EXPECT_THAT(request->answer.stop, ElementsAre("x"));
}

TEST(MessagesRequest, a_tools_result_stands_behind_its_call) {
  const Json body = Json::parse(R"({"max_tokens": 5, "messages": [
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"}]}]})");
  const auto request = parse_messages_request(body, model());
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message,
              StartsWith("messages[0].content[0].type: expected tool_result only behind an assistant's message"));
}

TEST(MessagesRequest, takes_what_says_nothing_here) {
  const Json body = Json::parse(R"({"max_tokens": 5, "cache_control": {"type": "ephemeral"}, "speed": "standard",
    "output_config": {"effort": "max", "format": null}, "tools": [{"name": "look", "strict": false}], "messages": [{"role": "user", "content": "Hi"}]})");
  const auto request = parse_messages_request(body, model());
  EXPECT_TRUE(request) << request.error().message;
}

TEST(MessagesRequest, takes_back_the_thinking_blocks_that_clients_were_given) {
  const Json body = Json::parse(R"({"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
      {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "Hello", "citations": null}]},
    {"role": "user", "content": "So?"}]})");
  const auto request = parse_messages_request(body, model());
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(Json::parse(request->chat)["messages"][1]["reasoning_content"], "Hm.");
}

TEST(MessagesRequest, names_the_result_that_answers_no_call_as_the_client_wrote_it) {
  Json body = Json::parse(R"({"max_tokens": 5, "system": "s", "messages": [{"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}},
      {"type": "tool_use", "id": "b", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "1"},
      {"type": "tool_result", "tool_use_id": "a", "content": "2"}]}]})");
  const auto right = parse_messages_request(body, model());
  ASSERT_TRUE(right) << right.error().message;
  body["messages"][2]["content"][1]["tool_use_id"] = "c";
  EXPECT_EQ(parse_messages_request(body, model()).error().message,
            "messages[2].content[1].tool_use_id: expected the id of a tool_use of the message before, got 'c'");
}

TEST(MessagesRequest, refuses_by_name) {
  const auto message = [](const char* body) {
    const auto request = parse_messages_request(Json::parse(body), model());
    return request ? std::string("fine") : request.error().message;
  };
  EXPECT_THAT(message(R"({"messages": [{"role": "user", "content": "a"}]})"), StartsWith("max_tokens: "));
  EXPECT_THAT(message(R"({"max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "image"}]}]})"),
              StartsWith("messages[0].content[0].type: "));
  EXPECT_THAT(message(R"({"max_tokens": 1, "messages": [{"role": "system", "content": "a"}]})"),
              StartsWith("messages[0].role: "));
  EXPECT_THAT(message(R"({"max_tokens": 1, "messages": []})"), EndsWith(" messages, got an empty one"));
  EXPECT_EQ(message(R"({"max_tokens": 1, "stop_sequences": "a", "messages": [{"role": "user", "content": "a"}]})"),
            "stop_sequences: expected an array, got 'a'");
  EXPECT_THAT(message(R"({"max_tokens": 1, "top_k": 5, "messages": [{"role": "user", "content": "a"}]})"),
              StartsWith("top_k: "));
  EXPECT_THAT(message(R"({"max_tokens": 1, "output_config": {"format": {}},
                "messages": [{"role": "user", "content": "a"}]})"),
              StartsWith("output_config.format: not supported"));
  EXPECT_THAT(message(R"({"max_tokens": 1, "messages": [{"role": "user"}]})"), StartsWith("messages[0].content: "));
  const auto block = [&](const std::string& json) {
    return message((R"({"max_tokens": 1, "messages": [{"role": "user", "content": [)" + json + "]}]}").c_str());
  };
  EXPECT_THAT(block(R"({"text": "a"})"), StartsWith("messages[0].content[0].type: expected one of text, "));
  EXPECT_THAT(block(""), StartsWith("messages[0].content: expected a string or an array of at least one block"));
  EXPECT_THAT(block(R"({"type": "text"})"), StartsWith("messages[0].content[0].text: expected a string, got nothing"));
  EXPECT_EQ(block(R"({"type": "thinking", "thinking": "a"})"),
            "messages[0].content[0].type: expected one of text, tool_result, got 'thinking'");
  EXPECT_THAT(
      message(R"({"max_tokens": 1, "messages": [{"role": "assistant", "content": [{"type": "tool_result"}]}]})"),
      StartsWith("messages[0].content[0].type: expected one of text, tool_use, thinking, redacted_thinking"));
  EXPECT_THAT(message(R"({"max_tokens": 1, "messages": [{"role": "assistant",
                "content": [{"type": "tool_use", "id": "a", "name": "b"}]}]})"),
              StartsWith("messages[0].content[0].input: "));
  EXPECT_THAT(block(R"({"type": "tool_result"})"), StartsWith("messages[0].content[0].tool_use_id: "));
  const auto tools = [&](const std::string& json) {
    return message(
        (R"({"max_tokens": 1, "messages": [{"role": "user", "content": "a"}], "tools": [)" + json + "]}").c_str());
  };
  EXPECT_THAT(tools(R"({"name": "a b"})"), StartsWith("tools[0].name: expected 1 to 128 letters, "));
  EXPECT_THAT(tools(R"({"name": "a"}, {"name": "a"})"), StartsWith("tools[1].name: expected another name "));
  EXPECT_THAT(tools(R"({"name": "a", "strict": true})"), StartsWith("tools[0].strict: not supported"));
  EXPECT_THAT(message(R"({"max_tokens": 1, "tool_choice": {}, "messages": [{"role": "user", "content": "a"}]})"),
              StartsWith("tool_choice.type: "));
}

}  // namespace
}  // namespace dgemma::server
