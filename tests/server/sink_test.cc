// Answers as chunks, objects and events of each API, from scripted pieces; checked against the OpenAPI document too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "schema.h"
#include "server/messages_sink.h"
#include "server/openai_sink.h"
#include "server/openapi.h"
#include "tiny_service.h"

namespace dgemma::server {
namespace {

using testing::ElementsAre;
using testing_service::Schema;
using testing_service::sse_objects;

using MakeSink = std::unique_ptr<AnswerSink> (*)(ResponseForm, std::shared_ptr<Outbox>);

/// What a sink writes while `script` plays an answer.
std::string written(MakeSink make, bool stream, const std::function<void(AnswerSink&)>& script) {
  ResponseForm form;
  form.id = "1", form.model = "m", form.stream = stream, form.include_usage = form.logprobs = true;
  const auto outbox = std::make_shared<Outbox>(1 << 20);
  const auto sink = make(form, outbox);
  script(*sink);
  std::string bytes;
  while (outbox->read(bytes, std::chrono::milliseconds(0)) == Outbox::Got::kBytes) {
  }
  return bytes;
}

/// Thoughts, text and a tool call in two canvases.
void tool_answer(AnswerSink& sink) {
  sink.started(0, {});
  sink.piece(0, {"", "Let me", {}, {}});
  sink.piece(0, {"I look.", " see.", {}, {}});
  sink.piece(0, {"", "", {{"look", R"({"a":1})"}, {"see", "{}"}}, {}});
  AnswerEnd end;
  end.reason = EndReason::kToolCalls;
  end.usage.completion_tokens = 7;
  sink.ended(0, end);
  sink.done(end.usage);
}

void failing_answer(AnswerSink& sink) {
  sink.started(0, {});
  sink.failed({503, "cancelled", "stopped"});
}

const Json& document() {
  static const Json json = Json::parse(openapi_text());
  return json;
}

TEST(ChatSink, streams_tool_calls_with_their_index_and_id) {
  std::vector<Json> calls;
  const auto chunks = sse_objects(written(make_chat_sink, true, tool_answer));
  for (const Json& chunk : chunks) {
    EXPECT_EQ(Schema(document()).check("ChatChunk", chunk), "");
    if (!chunk["choices"].empty() && chunk["choices"][0]["delta"].contains("tool_calls"))
      calls.push_back(chunk["choices"][0]["delta"]["tool_calls"][0]);
  }
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0]["index"], 0);
  EXPECT_EQ(calls[1]["index"], 1);
  EXPECT_EQ(calls[0]["function"]["arguments"], R"({"a":1})");
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
  EXPECT_EQ(chunks[chunks.size() - 2]["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(chunks.back()["usage"]["completion_tokens"], 7);
}

/// What the openai package makes of deltas (its accumulate_delta): strings are joined, entries of lists meet by index.
void accumulate(Json& all, const Json& delta) {
  for (const auto& [name, value] : delta.items()) {
    Json& known = all[name];
    if (known.is_null() || name == "index" || name == "type") {
      known = value;
    } else if (value.is_string()) {
      known = known.get<std::string>() + value.get<std::string>();
    } else if (value.is_object()) {
      accumulate(known, value);
    } else if (value.is_array()) {
      for (const Json& entry : value) {
        const size_t index = entry.at("index");
        ASSERT_LE(index, known.size()) << "a client would put it at the end";
        if (index == known.size())
          known.push_back(entry);
        else
          accumulate(known[index], entry);
      }
    }
  }
}

TEST(ChatSink, a_stream_with_tool_calls_adds_up_to_the_whole_message) {
  Json all = Json::object();
  for (const Json& chunk : sse_objects(written(make_chat_sink, true, tool_answer)))
    if (!chunk["choices"].empty()) accumulate(all, chunk["choices"][0]["delta"]);
  Json message = Json::parse(written(make_chat_sink, false, tool_answer))["choices"][0]["message"];
  message.erase("annotations");  // OpenAI's streams have none
  ASSERT_EQ(all["tool_calls"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(all["tool_calls"][i]["index"], i);
    EXPECT_TRUE(all["tool_calls"][i]["id"].get<std::string>().starts_with("call_"));
    all["tool_calls"][i].erase("index"), all["tool_calls"][i].erase("id");
    message["tool_calls"][i].erase("id");
  }
  EXPECT_EQ(all, message);
}

// What OpenAI's answers always have, and clients made from its schema may insist on.
TEST(ChatSink, fields_that_say_nothing_are_there) {
  const Json response = Json::parse(written(make_chat_sink, false, tool_answer));
  EXPECT_EQ(response["service_tier"], "default");
  EXPECT_EQ(response["choices"][0]["message"]["annotations"], Json::array());
  EXPECT_EQ(response["usage"]["prompt_tokens_details"]["audio_tokens"], 0);
  EXPECT_EQ(response["usage"]["completion_tokens_details"]["rejected_prediction_tokens"], 0);
  const auto chunks = sse_objects(written(make_chat_sink, true, tool_answer));
  EXPECT_TRUE(chunks.front()["choices"][0]["delta"].at("refusal").is_null());
  for (const Json& chunk : chunks) EXPECT_EQ(Schema(document()).check("ChatChunk", chunk), "");
  EXPECT_FALSE(Json::parse(written(make_completion_sink, false, tool_answer)).contains("service_tier"));
}

TEST(ChatSink, one_object_has_all_parts) {
  const Json response = Json::parse(written(make_chat_sink, false, tool_answer));
  EXPECT_EQ(Schema(document()).check("ChatResponse", response), "");
  const Json& message = response["choices"][0]["message"];
  EXPECT_EQ(message["content"], "I look.");
  EXPECT_EQ(message["reasoning_content"], "Let me see.");
  EXPECT_EQ(message["tool_calls"][1]["function"]["name"], "see");
}

TEST(ChatSink, a_failure_within_a_stream_is_its_last_event) {
  const auto chunks = sse_objects(written(make_chat_sink, true, failing_answer));
  EXPECT_EQ(chunks.back()["error"]["code"], "cancelled");
}

TEST(MessagesSink, blocks_are_started_and_stopped_one_after_the_other) {
  std::vector<std::string> order;
  for (const Json& event : sse_objects(written(make_messages_sink, true, tool_answer))) {
    EXPECT_EQ(Schema(document()).check("MessagesEvent", event), "");
    std::string name = event["type"];
    if (name == "content_block_start") name = "+" + event["content_block"]["type"].get<std::string>();
    if (name == "content_block_delta") name = event["delta"]["type"];
    if (name == "content_block_stop") name = "-" + event["index"].dump();
    if (name == "message_delta") name += ":" + event["delta"]["stop_reason"].get<std::string>();
    order.push_back(name);
  }
  EXPECT_THAT(order,
              ElementsAre("message_start", "ping", "+thinking", "thinking_delta", "thinking_delta", "signature_delta",
                          "-0", "+text", "text_delta", "-1", "+tool_use", "input_json_delta", "-2", "+tool_use",
                          "input_json_delta", "-3", "message_delta:tool_use", "message_stop"));
}

// Clients put a thinking block together of its deltas and send it back only with a signature.
TEST(MessagesSink, a_streamed_thinking_block_adds_up_to_the_whole_one) {
  std::string thinking, signature;
  for (const Json& event : sse_objects(written(make_messages_sink, true, tool_answer)))
    if (event.value("index", -1) == 0 && event.contains("delta")) {
      thinking += event["delta"].value("thinking", "");
      signature += event["delta"].value("signature", "");
    }
  const Json block = Json::parse(written(make_messages_sink, false, tool_answer))["content"][0];
  EXPECT_FALSE(signature.empty());
  EXPECT_EQ(block, Json({{"type", "thinking"}, {"thinking", thinking}, {"signature", signature}}));
}

TEST(MessagesSink, one_object_has_the_blocks_in_order) {
  const Json response = Json::parse(written(make_messages_sink, false, tool_answer));
  EXPECT_EQ(Schema(document()).check("MessagesResponse", response), "");
  EXPECT_EQ(response["content"][0]["thinking"], "Let me see.");
  EXPECT_EQ(response["content"][1]["text"], "I look.");
  EXPECT_EQ(response["content"][2]["input"]["a"], 1);
  EXPECT_EQ(response["stop_reason"], "tool_use");
  EXPECT_EQ(response["usage"]["service_tier"], "standard");
  EXPECT_TRUE(response.at("container").is_null());
}

TEST(MessagesSink, a_failure_has_anthropics_form) {
  EXPECT_EQ(sse_objects(written(make_messages_sink, true, failing_answer)).back()["error"]["type"], "overloaded_error");
}

/// Two halves of a character, the second with an alternative.
void half_characters(AnswerSink& sink) {
  sink.started(0, {});
  sink.piece(0, {"\u00e9!", "", {}, {{"\xc3", -0.5}, {"\xa9", -1, {{"\xa9", -1}, {"<eos>", -2}}}, {"!", 0}}});
  sink.ended(0, {});
  sink.done({});
}

/// Bytes that are no character become longer text than they were, so that the last tokens come after it.
void tokens_behind_their_text(AnswerSink& sink) {
  sink.started(0, {});
  sink.piece(0, {"\ufffd", "", {}, {{"\xc3", -0.5}}});
  sink.piece(0, {"", "", {}, {{"\xc3", -1}}});
  sink.ended(0, {});
  sink.done({});
}

TEST(ChatSink, a_stream_has_the_logprobs_of_the_whole_answer) {
  size_t streamed = 0;
  for (const Json& chunk : sse_objects(written(make_chat_sink, true, tokens_behind_their_text)))
    if (!chunk["choices"].empty() && !chunk["choices"][0]["logprobs"].is_null())
      streamed += chunk["choices"][0]["logprobs"]["content"].size();
  EXPECT_EQ(streamed, 2u);
  streamed = 0;
  for (const Json& chunk : sse_objects(written(make_completion_sink, true, tokens_behind_their_text)))
    if (!chunk["choices"].empty() && !chunk["choices"][0]["logprobs"].is_null())
      streamed += chunk["choices"][0]["logprobs"]["tokens"].size();
  EXPECT_EQ(streamed, 2u);
}

TEST(ChatSink, half_a_character_has_its_byte) {
  const Json response = Json::parse(written(make_chat_sink, false, half_characters));
  const Json& content = response["choices"][0]["logprobs"]["content"];
  EXPECT_EQ(content[0]["bytes"], Json::array({0xc3}));
  EXPECT_EQ(content[0]["top_logprobs"], Json::array());
  EXPECT_EQ(content[1]["top_logprobs"][1]["token"], "<eos>");
}

TEST(CompletionSink, half_a_character_is_named_by_its_byte_and_offsets_count_characters) {
  const Json response = Json::parse(written(make_completion_sink, false, half_characters));
  EXPECT_EQ(Schema(document()).check("CompletionResponse", response), "");
  const Json& logprobs = response["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json::array({"bytes:\\xc3", "bytes:\\xa9", "!"}));
  EXPECT_EQ(logprobs["text_offset"], Json::array({0, 1, 1}));
}

TEST(CompletionSink, no_tokens_have_lists_that_are_empty) {
  const auto nothing = [](AnswerSink& sink) {
    sink.started(0, {});
    sink.ended(0, {});
    sink.done({});
  };
  const Json response = Json::parse(written(make_completion_sink, false, nothing));
  EXPECT_EQ(response["choices"][0]["logprobs"]["top_logprobs"], Json::array());
}

TEST(CompletionSink, streams_text) {
  std::string text;
  for (const Json& chunk : sse_objects(written(make_completion_sink, true, tool_answer))) {
    EXPECT_EQ(Schema(document()).check("CompletionResponse", chunk), "");
    if (!chunk["choices"].empty()) text += chunk["choices"][0]["text"].get<std::string>();
  }
  EXPECT_EQ(text, "I look.");
}

}  // namespace
}  // namespace dgemma::server
