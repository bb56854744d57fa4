// The service from outside, over HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "base/format.h"
#include "leaving_client.h"
#include "schema.h"
#include "server/metrics.h"
#include "tiny_service.h"

namespace dgemma::server::testing_service {
namespace {

using testing::HasSubstr;

TEST(Service, says_that_it_is_ready_and_which_model_it_has) {
  const TinyService service;
  EXPECT_EQ(service.get("/health").json["status"], "ready");
  EXPECT_EQ(metric(service, "dgemma_ready"), 1);
  const auto models = service.get("/v1/models");
  EXPECT_EQ(models.status, 200);
  const Json& model = models.json["data"][0];
  EXPECT_EQ(model["id"], "tiny");
  EXPECT_EQ(model["diffusion"]["canvas_length"], 16);
  EXPECT_EQ(model["diffusion"]["max_denoising_steps"], 48);
}

TEST(Service, models_have_what_openais_and_what_anthropics_clients_look_for) {
  const TinyService service;
  const Json models = service.get("/v1/models").json, model = service.get("/v1/models/tiny").json;
  EXPECT_EQ(models["object"], "list");
  EXPECT_EQ(models["has_more"], false);
  EXPECT_EQ(models["first_id"], "tiny");
  EXPECT_EQ(models["last_id"], "tiny");
  EXPECT_EQ(models["data"], Json::array({model}));
  EXPECT_EQ(model["object"], "model");
  EXPECT_EQ(model["type"], "model");
  EXPECT_EQ(model["display_name"], "tiny");
  std::tm created{};
  ASSERT_NE(::strptime(model["created_at"].get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%SZ", &created), nullptr);
  EXPECT_EQ(::timegm(&created), model["created"]);
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

/// Two printable ASCII characters of a text, not at its beginning, and not there before.
std::string some_text_of(const std::string& all) {
  const auto printable = [](char c) { return c > ' ' && c <= '~'; };
  for (size_t i = 1; i + 2 < all.size(); ++i)
    if (printable(all[i]) && printable(all[i + 1]) && all.find(all.substr(i, 2)) == i) return all.substr(i, 2);
  return "";
}

TEST(Service, the_most_probable_tokens_are_told_in_both_forms) {
  const TinyService service;
  Json chat = quick_chat();
  chat["logprobs"] = true, chat["top_logprobs"] = 3;
  const Json tokens = service.post("/v1/chat/completions", chat).json["choices"][0]["logprobs"]["content"];
  ASSERT_FALSE(tokens.empty());
  for (const Json& token : tokens) {
    ASSERT_EQ(token["top_logprobs"].size(), 3u);
    EXPECT_EQ(token["top_logprobs"][0]["bytes"], token["bytes"]);
    EXPECT_EQ(token["top_logprobs"][0]["logprob"], token["logprob"]);
    EXPECT_GE(token["top_logprobs"][1]["logprob"], token["top_logprobs"][2]["logprob"]);
  }
  const Json completion = quick_completion(2);
  const Json logprobs = service.post("/v1/completions", completion).json["choices"][0]["logprobs"];
  ASSERT_FALSE(logprobs["tokens"].empty());
  for (size_t i = 0; i < logprobs["tokens"].size(); ++i)
    EXPECT_TRUE(logprobs["top_logprobs"][i].contains(logprobs["tokens"][i].get<std::string>())) << logprobs;
}

TEST(Service, every_response_is_what_the_openapi_document_says) {
  const TinyService service;
  const Json document = service.get("/openapi.json").json;
  const Schema schema(document);
  Json chat = quick_chat();
  chat["logprobs"] = true, chat["top_logprobs"] = 20, chat["n"] = 2;
  const Json messages = quick_chat(), completion = quick_completion(1);
  EXPECT_EQ(schema.check("ChatRequest", chat), "");
  EXPECT_EQ(schema.check("MessagesRequest", messages), "");
  EXPECT_EQ(schema.check("CompletionRequest", completion), "");
  EXPECT_EQ(schema.check("Message", {{"role", "assistant"}, {"content", nullptr}}), "");
  for (const Json& refused : {Json{{"role", "user"}}, Json{{"role", "tool"}, {"content", nullptr}},
                              Json{{"role", "user"}, {"content", "Hi"}, {"other", 1}}})
    EXPECT_NE(schema.check("Message", refused), "") << refused;
  EXPECT_EQ(schema.check("ChatResponse", service.post("/v1/chat/completions", chat).json), "");
  EXPECT_EQ(schema.check("MessagesResponse", service.post("/v1/messages", messages).json), "");
  EXPECT_EQ(schema.check("CompletionResponse", service.post("/v1/completions", completion).json), "");
  EXPECT_EQ(schema.check("Models", service.get("/v1/models").json), "");
  EXPECT_EQ(schema.check("Model", service.get("/v1/models/tiny").json), "");
  EXPECT_EQ(schema.check("Health", service.get("/health").json), "");
  EXPECT_EQ(schema.check("Tokens", service.post("/tokenize", {{"content", "Hi"}}).json), "");
  EXPECT_EQ(schema.check("Text", service.post("/detokenize", {{"tokens", {300, 301}}}).json), "");
  EXPECT_EQ(schema.check("Count", service.post("/v1/messages/count_tokens", messages).json), "");
  EXPECT_EQ(schema.check("Error", service.post("/v1/chat/completions", {}).json), "");
  EXPECT_EQ(schema.check("AnthropicError", service.post("/v1/messages", {{"x", 1}}).json), "");
  chat.erase("n");
  chat["stream"] = true, chat["stream_options"] = {{"include_usage", true}}, chat["diffusion"]["drafts"] = true;
  for (const Json& chunk : sse_objects(service.post("/v1/chat/completions", chat).body))
    EXPECT_EQ(schema.check("ChatChunk", chunk), "");
  Json stream = messages;
  stream["stream"] = true, stream["diffusion"]["drafts"] = true;
  for (const Json& event : sse_objects(service.post("/v1/messages", stream).body))
    EXPECT_EQ(schema.check("MessagesEvent", event), "");
  for (const auto& [path, item] : document["paths"].items())
    if (path.find('{') == std::string::npos) {
      const auto reply = item.contains("get") ? service.get(path) : service.post(path, Json::object());
      EXPECT_TRUE(reply.status == 200 || reply.status == 400) << path << ' ' << reply.status;
    }
}

TEST(Service, drafts_show_every_step_and_committed_text_is_only_appended) {
  const TinyService service;
  Json request = quick_chat();
  request["stream"] = true, request["diffusion"]["drafts"] = true;
  std::string order, text;
  size_t first_rows = 0, noise_rows = 0;
  for (const Json& chunk : sse_objects(service.post("/v1/chat/completions", request).body)) {
    text += chunk["choices"][0]["delta"].value("content", "");
    if (!chunk.contains("diffusion")) continue;
    const Json& event = chunk["diffusion"];
    order += event["type"] == "canvas" ? 'n' : event["type"].get<std::string>()[0];
    if (event["type"] == "canvas") noise_rows += event["noise"].size();
    if (event["type"] == "draft" && event["step"] == 0) first_rows += event["rows"].size();
    EXPECT_EQ(event.value("seed", "3"), "3");
  }
  EXPECT_EQ(order, "sndddcndddc");
  EXPECT_EQ(noise_rows, 32u);
  EXPECT_EQ(first_rows, 32u) << "the first step of a canvas carries every row";
  request.erase("stream");
  EXPECT_EQ(text, service.post("/v1/chat/completions", request).json["choices"][0]["message"]["content"]);
}

TEST(Service, a_stop_string_cuts_the_text_and_the_count) {
  const TinyService service;
  Json request = quick_chat();
  const std::string all = service.post("/v1/chat/completions", request).json["choices"][0]["message"]["content"];
  const std::string stop = some_text_of(all);
  request["stop"] = stop;
  const auto reply = service.post("/v1/chat/completions", request);
  EXPECT_EQ(reply.json["choices"][0]["message"]["content"], all.substr(0, all.find(stop)));
  EXPECT_EQ(reply.json["choices"][0]["finish_reason"], "stop");
  EXPECT_LT(reply.json["usage"]["completion_tokens"], 24);
}

TEST(Service, several_choices_have_the_texts_of_their_seeds) {
  const TinyService service;
  Json request = quick_chat();
  request["n"] = 2;
  const Json both = service.post("/v1/chat/completions", request).json;
  ASSERT_EQ(both["choices"].size(), 2u);
  request["n"] = 1, request["seed"] = 4;
  const Json second = service.post("/v1/chat/completions", request).json;
  EXPECT_EQ(both["choices"][1]["message"], second["choices"][0]["message"]);
  EXPECT_EQ(both["usage"]["completion_tokens"], 48);
}

TEST(Service, several_prompts_have_the_texts_that_they_get_alone) {
  const TinyService service;
  Json request = {{"prompt", {"One", "Another one"}},
                  {"n", 2},
                  {"max_tokens", 20},
                  {"seed", 3},
                  {"diffusion", {{"max_denoising_steps", 3}}}};
  const Json document = service.get("/openapi.json").json;
  const Schema schema(document);
  EXPECT_EQ(schema.check("CompletionRequest", request), "");
  const auto post = [&] { return service.post("/v1/completions", request); };
  const Json all = post().json;
  ASSERT_EQ(all["choices"].size(), 4u) << all;
  EXPECT_EQ(schema.check("CompletionResponse", all), "");
  request["stream"] = true, request["stream_options"] = {{"include_usage", true}};
  std::vector<std::string> streamed(4);
  const auto chunks = sse_objects(post().body);
  for (const Json& chunk : chunks)
    for (const Json& choice : chunk["choices"]) streamed.at(choice["index"]) += choice["text"].get<std::string>();
  request.erase("stream"), request.erase("stream_options");
  int prompt_tokens = 0, tokens = 0;
  for (size_t prompt = 0; prompt < 2; ++prompt) {
    request["prompt"] = prompt == 0 ? "One" : "Another one";
    const Json alone = post().json;
    prompt_tokens += alone["usage"]["prompt_tokens"].get<int>();
    tokens += alone["usage"]["completion_tokens"].get<int>();
    for (size_t i = 0; i < 2; ++i) {
      const Json& choice = all["choices"][2 * prompt + i];
      EXPECT_EQ(choice["index"], 2 * prompt + i);
      EXPECT_EQ(choice["text"], alone["choices"][i]["text"]);
      EXPECT_EQ(streamed[2 * prompt + i], alone["choices"][i]["text"]);
    }
  }
  for (const Json& usage : {all["usage"], chunks.back()["usage"]}) {
    EXPECT_EQ(usage["prompt_tokens"], prompt_tokens);
    EXPECT_EQ(usage["completion_tokens"], tokens);
  }
  request["prompt"] = Json::array({{300}, {300, 512}});
  EXPECT_EQ(post().json["error"]["param"], "prompt[1][1]");
}

TEST(Service, temperature_zero_gives_the_same_text_every_time) {
  const TinyService service;
  Json request = quick_chat();
  request.erase("seed");
  request["temperature"] = 0;
  const Json first = service.post("/v1/chat/completions", request).json["choices"];
  EXPECT_EQ(service.post("/v1/chat/completions", request).json["choices"], first);
  request["seed"] = 0, request["temperature"] = 1;
  EXPECT_EQ(service.post("/v1/chat/completions", request).json["choices"], first);
}

TEST(Service, a_key_is_asked_for_except_for_health_and_the_page) {
  ServerOptions options;
  options.api_key = "secret";
  const TinyService service(options);
  EXPECT_EQ(service.get("/health").status, 200);
  EXPECT_EQ(service.get("/").status, 200);
  EXPECT_EQ(service.get("/v1/models").status, 401);
  EXPECT_EQ(service.get("/metrics").status, 401);
  EXPECT_EQ(service.post("/v1/chat/completions", quick_chat()).json["error"]["code"], "invalid_api_key");
  EXPECT_EQ(service.get("/v1/models", {{"Authorization", "Bearer wrong!"}}).status, 401);
  EXPECT_EQ(service.get("/v1/models", {{"Authorization", "Bearer secret"}}).status, 200);
  EXPECT_EQ(service.post("/v1/messages", {}, {{"x-api-key", "secret"}}).status, 400);
}

TEST(Service, a_cache_keeps_the_page_by_coding_and_hears_when_it_is_still_good) {
  const TinyService service;
  const auto plain = service.get("/", {{"Accept-Encoding", "identity"}});
  const auto packed = service.get("/", {{"Accept-Encoding", "gzip"}});
  const std::string etag = packed.headers.find("ETag")->second;
  EXPECT_TRUE(etag.starts_with("W/\"")) << etag << " stands for bytes that differ";
  EXPECT_EQ(plain.headers.find("ETag")->second, etag);
  EXPECT_EQ(packed.headers.count("Content-Encoding"), 1u);
  for (const std::string& known : {etag, etag.substr(2), "\"other\", " + etag}) {
    const auto same = service.get("/", {{"If-None-Match", known}});
    EXPECT_EQ(same.status, 304) << known;
    EXPECT_EQ(same.headers.find("Vary")->second, "Accept-Encoding");
  }
  EXPECT_EQ(service.get("/", {{"If-None-Match", "\"other\""}}).status, 200);
  for (const auto& reply : {plain, packed, service.get("/openapi.json"), service.get("/none"),
                            service.post("/tokenize", {{"content", "a"}})})
    EXPECT_EQ(reply.headers.find("Vary")->second, "Accept-Encoding");
}

TEST(Service, pages_of_other_sites_are_kept_out) {
  const TinyService service;
  EXPECT_EQ(service.get("/v1/models", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(service.get("/v1/models", {{"Host", "localhost:1"}}).status, 200);
  const auto plain = service.client().Post("/v1/chat/completions", quick_chat().dump(), "text/plain");
  EXPECT_EQ(plain->status, 415);
  EXPECT_NE(plain->body.find("expected application/json, got 'text/plain'. With curl: -H"), std::string::npos);
  EXPECT_NE(service.get("/v1/nothing").body.find("expected one that GET /openapi.json lists"), std::string::npos);
  EXPECT_EQ(service.get("/v1/models", {{"Host", "LocalHost"}}).status, 200);
  const auto status_of = [&](const char* type) {
    return service.client().Post("/v1/chat/completions", quick_chat().dump(), type)->status;
  };
  EXPECT_EQ(status_of("Application/JSON; charset=utf-8"), 200);
  EXPECT_EQ(status_of("application/json-patch"), 415);
  EXPECT_FALSE(
      service.get("/v1/models", {{"Origin", "http://evil.example"}}).headers.contains("Access-Control-Allow-Origin"));
  EXPECT_EQ(service.client().Options("/v1/models")->status, 405);
}

bool varies_by_origin(const httplib::Response& reply) {
  const auto [begin, end] = reply.headers.equal_range("Vary");
  return std::any_of(begin, end, [](const auto& header) { return header.second == "Origin"; });
}

TEST(Service, an_origin_that_was_allowed_may_call) {
  ServerOptions options;
  options.cors_origin = "http://app.example";
  const TinyService service(options);
  const auto preflight = service.client().Options("/v1/chat/completions", {{"Origin", "http://app.example"}});
  EXPECT_EQ(preflight->status, 204);
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Origin"), "http://app.example");
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Headers"), "Authorization, *");
  const auto other = service.client().Options("/v1/chat/completions", {{"Origin", "http://evil.example"}});
  EXPECT_FALSE(other->has_header("Access-Control-Allow-Origin"));
  for (const auto* reply : {&*preflight, &*other}) EXPECT_TRUE(varies_by_origin(*reply)) << "for caches in between";
  options.cors_origin = "*";
  const TinyService to_all(options);
  EXPECT_EQ(to_all.get("/health").headers.count("Vary"), 1u) << "the same for every origin";
}

TEST(Service, a_prompt_that_does_not_fit_is_refused_before_it_waits) {
  ServerOptions options;
  options.session.context = 64;
  const TinyService service(options);
  const auto reply = service.post("/v1/chat/completions", quick_chat(std::string(100, 'a')));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(reply.json["error"]["param"], "messages");
}

TEST(Service, an_id_outside_the_vocabulary_is_named_by_its_place) {
  const TinyService service;
  const auto reply = service.post("/detokenize", {{"tokens", {300, 512}}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["param"], "tokens[1]");
}

TEST(Service, unknown_paths_and_methods_are_told_apart) {
  const TinyService service;
  EXPECT_EQ(service.get("/v1/nothing").status, 404);
  EXPECT_EQ(service.get("/../../etc/passwd").status, 404);
  const auto get = service.get("/v1/chat/completions");
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.headers.find("Allow")->second, "POST");
  httplib::Request query;
  query.method = "QUERY", query.path = "/v1/models";
  const auto unknown = service.client().send(query);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 405);
  EXPECT_EQ(unknown->get_header_value("Allow"), "GET");
  EXPECT_EQ(Json::parse(unknown->body)["error"]["code"], "method_not_allowed");
  EXPECT_EQ(service.get("/v1/models/other").json["error"]["code"], "model_not_found");
  EXPECT_EQ(service.client().Head("/health")->status, 200);
}

TEST(Service, traces_are_there_once_an_answer_is_finished_and_only_then) {
  const std::string folder = testing::TempDir() + "traces";
  std::filesystem::create_directories(folder);
  ServerOptions options;
  options.trace_dir = folder;
  const TinyService service(options);
  const std::string id = service.post("/v1/chat/completions", quick_chat()).json["id"];
  const auto trace = service.get("/v1/traces/" + id);
  EXPECT_EQ(trace.status, 200);
  EXPECT_THAT(trace.body, testing::StartsWith("{\"type\":\"start\""));
  EXPECT_THAT(trace.body, HasSubstr("{\"type\":\"end\""));
  EXPECT_EQ(service.get("/v1/traces/chatcmpl-000000000000000000000000").status, 404);
  EXPECT_EQ(service.get("/v1/traces/..%2f..%2fetc%2fpasswd").status, 404);
  {
    LeavingClient endless(service.port(), endless_chat());
    endless.wait_for_bytes();
  }
  while (metric(service, "dgemma_sessions_active") > 0) std::this_thread::yield();
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files += entry.is_regular_file();
  EXPECT_EQ(files, 1u) << "nothing is left of an answer that was not finished";
}

TEST(Service, metrics_count_requests_tokens_and_steps) {
  const TinyService service;
  service.post("/v1/chat/completions", quick_chat());
  service.post("/v1/chat/completions", {{"n", 0}});
  for (const char* status : {"200", "400"}) {  // counted once it is sent, which its client may know before
    const std::string name =
        base::concat("dgemma_requests_total{endpoint=\"/v1/chat/completions\",status=\"", status, "\"}");
    while (metric(service, name) < 0) std::this_thread::yield();
    EXPECT_EQ(metric(service, name), 1);
  }
  EXPECT_EQ(metric(service, "dgemma_committed_tokens_total"), 24);
  EXPECT_EQ(metric(service, "dgemma_steps_per_canvas_bucket{le=\"2\"}"), 0);
  EXPECT_EQ(metric(service, "dgemma_steps_per_canvas_bucket{le=\"4\"}"), 2);
  EXPECT_EQ(metric(service, "dgemma_steps_per_canvas_sum"), 6);
  EXPECT_GT(metric(service, "dgemma_memory_bytes{kind=\"resident\"}"), 0);
}

TEST(Metrics, seconds_are_told_in_full) {
  Metrics metrics;
  AnswerEnd end;
  end.usage.timing.denoise_s = 123456.5;
  for (int i = 0; i < 3; ++i) {
    metrics.answer(end);
    end.usage.timing.denoise_s = 0.0078125;
  }
  EXPECT_THAT(metrics.text({}), HasSubstr("dgemma_phase_seconds_total{phase=\"denoise\"} 123456.515625\n"));
}

TEST(Service, does_not_listen_beyond_this_machine_without_a_key) {
  ServerOptions options;
  options.host = "0.0.0.0", options.port = 0;
  const auto open = Server::listen(options);
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().message, HasSubstr("--insecure"));
  options.api_key = "k";
  EXPECT_TRUE(Server::listen(options));
}

}  // namespace
}  // namespace dgemma::server::testing_service
