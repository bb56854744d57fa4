// The service from outside, over HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tiny_service.h"

namespace dgemma::server::testing_service {
namespace {

using testing::HasSubstr;

TEST(Service, says_that_it_is_ready_and_which_model_it_has) {
  const TinyService service;
  EXPECT_EQ(service.get("/health").json["status"], "ready");
  const auto models = service.get("/v1/models");
  EXPECT_EQ(models.status, 200);
  const Json& model = models.json["data"][0];
  EXPECT_EQ(model["id"], "tiny");
  EXPECT_EQ(model["diffusion"]["canvas_length"], 16);
  EXPECT_EQ(model["diffusion"]["max_denoising_steps"], 48);
}

TEST(Service, answers_a_chat_with_usage) {
  const TinyService service;
  const auto reply = service.post("/v1/chat/completions", quick_chat());
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["object"], "chat.completion");
  const Json& choice = reply.json["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_FALSE(choice["message"]["content"].get<std::string>().empty());
  const Json& usage = reply.json["usage"];
  EXPECT_EQ(usage["completion_tokens"], 24);
  EXPECT_EQ(usage["diffusion"]["canvases"], 2);
  EXPECT_EQ(usage["diffusion"]["steps_per_canvas"], Json::array({3, 3}));
}

TEST(Service, a_stream_carries_the_same_text_as_one_object) {
  const TinyService service;
  Json request = quick_chat();
  const std::string whole = service.post("/v1/chat/completions", request).json["choices"][0]["message"]["content"];
  request["stream"] = true;
  request["stream_options"] = {{"include_usage", true}};
  const auto reply = service.post("/v1/chat/completions", request);
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
  std::string text;
  const auto chunks = sse_objects(reply.body);
  for (const Json& chunk : chunks)
    if (!chunk["choices"].empty()) text += chunk["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(text, whole);
  EXPECT_EQ(chunks.front()["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(chunks[chunks.size() - 2]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(chunks.back()["usage"]["completion_tokens"], 24);
  EXPECT_EQ(chunks.back()["choices"], Json::array());
}

TEST(Service, a_second_turn_finds_the_first_in_the_cache) {
  const TinyService service;
  Json request = quick_chat("A question that is long enough to be worth keeping in the cache");
  const auto first = service.post("/v1/chat/completions", request);
  EXPECT_EQ(first.json["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const auto again = service.post("/v1/chat/completions", request);
  EXPECT_EQ(again.json["usage"]["prompt_tokens_details"]["cached_tokens"], again.json["usage"]["prompt_tokens"]);
  EXPECT_EQ(again.json["choices"], first.json["choices"]);
}

TEST(Service, an_error_has_openai_form_and_names_the_field) {
  const TinyService service;
  Json request = quick_chat();
  request["n"] = 0;
  const auto reply = service.post("/v1/chat/completions", request);
  EXPECT_EQ(reply.status, 400);
  const Json& error = reply.json["error"];
  EXPECT_EQ(error["param"], "n");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("n: expected a whole number from 1 to 8, got 0"));
}

}  // namespace
}  // namespace dgemma::server::testing_service
