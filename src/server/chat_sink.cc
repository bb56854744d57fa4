// How a choice of POST /v1/chat/completions looks (declared in openai_sink.h). Test: tests/server/sink_test.cc.
#include <utility>

#include "server/openai_sink.h"
#include "server/random_id.h"

namespace dgemma::server {
namespace {

Json logprob_json(const std::string& text, double logprob) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
}

Json logprobs_json(const std::vector<TokenLogprob>& tokens) {
  Json content = Json::array();
  for (const TokenLogprob& token : tokens) {
    Json entry = logprob_json(token.text, token.logprob);
    entry["top_logprobs"] = Json::array();
    for (const TopLogprob& top : token.top) entry["top_logprobs"].push_back(logprob_json(top.text, top.logprob));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json tool_call_json(const ToolCall& call) {
  return {{"id", "call_" + random_id()},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

class ChatStream : public OpenAiStream {
 public:
  ChatStream(ResponseForm form, std::shared_ptr<Outbox> outbox)
      : OpenAiStream(std::move(form), kChatId, "chat.completion.chunk", std::move(outbox)) {}

  void started(int choice, const Started& event) override {
    OpenAiStream::started(choice, event);
    calls_ = 0;
    send(delta(choice, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}));
  }
  void piece(int choice, AnswerPiece piece) override {
    if (!piece.reasoning.empty()) send(delta(choice, {{"reasoning_content", piece.reasoning}}));
    if (!piece.content.empty() || !piece.logprobs.empty()) {
      Json json = delta(choice, {{"content", piece.content}});
      if (!piece.logprobs.empty()) json["logprobs"] = logprobs_json(piece.logprobs);
      send(std::move(json));
    }
    for (const ToolCall& call : piece.tool_calls) {
      Json json = {{"index", calls_++}};
      json.update(tool_call_json(call));
      send(delta(choice, {{"tool_calls", Json::array({std::move(json)})}}));
    }
  }
  void ended(int choice, const AnswerEnd& end) override {
    Json json = empty_choice(choice);
    json["finish_reason"] = openai_finish_reason(end.reason);
    send(std::move(json));
  }

 private:
  Json empty_choice(int choice) const override { return delta(choice, Json::object()); }
  static Json delta(int choice, Json fields) {
    return {{"index", choice}, {"delta", std::move(fields)}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
  }
  int calls_ = 0;
};

class ChatWhole : public OpenAiWhole {
 public:
  ChatWhole(ResponseForm form, std::shared_ptr<Outbox> outbox)
      : OpenAiWhole(std::move(form), kChatId, "chat.completion", std::move(outbox)) {}

 private:
  Json whole_choice(int choice, const AnswerPiece& all, const AnswerEnd& end) const override {
    Json message = {
        {"role", "assistant"}, {"content", all.content}, {"refusal", nullptr}, {"annotations", Json::array()}};
    if (!all.reasoning.empty()) message["reasoning_content"] = all.reasoning;
    if (!all.tool_calls.empty()) {
      if (all.content.empty()) message["content"] = nullptr;
      for (const ToolCall& call : all.tool_calls) message["tool_calls"].push_back(tool_call_json(call));
    }
    return {{"index", choice},
            {"message", std::move(message)},
            {"logprobs", form().logprobs ? logprobs_json(all.logprobs) : Json(nullptr)},
            {"finish_reason", openai_finish_reason(end.reason)}};
  }
};

}  // namespace

std::unique_ptr<AnswerSink> make_chat_sink(ResponseForm form, std::shared_ptr<Outbox> outbox) {
  if (form.stream) return std::make_unique<ChatStream>(std::move(form), std::move(outbox));
  return std::make_unique<ChatWhole>(std::move(form), std::move(outbox));
}

}  // namespace dgemma::server
