// See messages_sink.h.
#include "server/messages_sink.h"

#include <utility>

#include "server/random_id.h"

namespace dgemma::server {
namespace {

/// What stands where Anthropic proves that thoughts are its own. Clients drop a thinking block without one.
constexpr const char* kSignature = "unsigned";

const char* stop_reason(EndReason reason) {
  switch (reason) {
    case EndReason::kStopString:
      return "stop_sequence";
    case EndReason::kLength:
      return "max_tokens";
    case EndReason::kToolCalls:
      return "tool_use";
    default:
      return "end_turn";
  }
}

/// Anthropic counts the part of the prompt that was in the cache apart.
Json usage_json(int prompt_tokens, int cached_tokens, int output_tokens) {
  return {{"input_tokens", prompt_tokens - cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", cached_tokens},
          {"output_tokens", output_tokens}};
}

Json message_json(const ResponseForm& form, Json content, Json usage) {
  usage["service_tier"] = "standard";
  return {{"id", "msg_" + form.id},        {"type", "message"},      {"role", "assistant"},      {"model", form.model},
          {"content", std::move(content)}, {"stop_reason", nullptr}, {"stop_sequence", nullptr}, {"container", nullptr},
          {"usage", std::move(usage)}};
}

/// The arguments of a call as the object that they are.
Json input_of(const ToolCall& call) {
  Json input = Json::parse(call.arguments, nullptr, false);
  return input.is_object() ? input : Json::object();
}

class MessagesStream : public AnswerSink {
 public:
  MessagesStream(ResponseForm form, std::shared_ptr<Outbox> outbox)
      : form_(std::move(form)), outbox_(std::move(outbox)) {
    if (form_.drafts) drafts_.emplace(*form_.tokenizer);
  }

  void started(int, const Started& event) override {
    outbox_->begin(200);
    Json usage = usage_json(static_cast<int>(event.prompt_ids.size()), event.cached_tokens, 0);
    send("message_start", {{"message", message_json(form_, Json::array(), std::move(usage))}});
    send("ping", Json::object());
    if (drafts_) send("diffusion", {{"diffusion", DraftEvents::started(event)}});
  }
  void canvas(int, const CanvasStarted& event) override {
    if (drafts_ && outbox_->has_room()) send("diffusion", {{"diffusion", drafts_->canvas(event)}});
  }
  void draft(int, const CanvasDraft& event) override {
    if (!drafts_) return;
    if (event.last || outbox_->has_room())
      send("diffusion", {{"diffusion", drafts_->draft(event)}});
    else
      drafts_->skip(event);
  }
  void committed(int, const Committed& event) override {
    if (drafts_) send("diffusion", {{"diffusion", DraftEvents::committed(event)}});
  }
  void piece(int, AnswerPiece piece) override {
    if (!piece.reasoning.empty()) {
      open("thinking", {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
      grow({{"type", "thinking_delta"}, {"thinking", piece.reasoning}});
    }
    if (!piece.content.empty()) {
      open("text", {{"type", "text"}, {"text", ""}});
      grow({{"type", "text_delta"}, {"text", piece.content}});
    }
    for (const ToolCall& call : piece.tool_calls) {
      close();
      open("tool_use",
           {{"type", "tool_use"}, {"id", "toolu_" + random_id()}, {"name", call.name}, {"input", Json::object()}});
      grow({{"type", "input_json_delta"}, {"partial_json", json_text(input_of(call))}});
    }
  }
  void ended(int, const AnswerEnd& end) override {
    close();
    Json usage = usage_json(end.usage.prompt_tokens, end.usage.cached_tokens, end.usage.completion_tokens);
    usage["diffusion"] = diffusion_usage(end.usage);
    send("message_delta", {{"delta",
                            {{"stop_reason", stop_reason(end.reason)},
                             {"stop_sequence", end.stop.empty() ? Json(nullptr) : Json(end.stop)}}},
                           {"usage", std::move(usage)}});
  }
  void done(const AnswerUsage&) override { outbox_->close(event_text("message_stop", Json::object())); }
  void failed(const ApiError& error) override {
    const Json json = error.anthropic();
    outbox_->fail(error.status, json_text(json), "event: error\n" + sse_data(json));
  }

 private:
  static std::string event_text(const std::string& name, const Json& fields) {
    Json json = {{"type", name}};
    json.update(fields);
    return "event: " + name + "\n" + sse_data(json);
  }
  void send(const std::string& name, const Json& fields) { outbox_->write(event_text(name, fields)); }
  void open(const std::string& kind, const Json& block) {
    if (kind == open_) return;
    close();
    open_ = kind;
    send("content_block_start", {{"index", index_}, {"content_block", block}});
  }
  void grow(const Json& delta) { send("content_block_delta", {{"index", index_}, {"delta", delta}}); }
  void close() {
    if (open_.empty()) return;
    if (open_ == "thinking") grow({{"type", "signature_delta"}, {"signature", kSignature}});
    open_.clear();
    send("content_block_stop", {{"index", index_++}});
  }

  ResponseForm form_;
  std::shared_ptr<Outbox> outbox_;
  std::optional<DraftEvents> drafts_;
  std::string open_;  // kind of the block that grows, "" for none
  int index_ = 0;
};

class MessagesWhole : public AnswerSink {
 public:
  MessagesWhole(ResponseForm form, std::shared_ptr<Outbox> outbox)
      : form_(std::move(form)), outbox_(std::move(outbox)) {}

  void started(int, const Started&) override {}
  void piece(int, AnswerPiece piece) override {
    if (!piece.reasoning.empty())
      append(block("thinking", {{"type", "thinking"}, {"thinking", ""}, {"signature", kSignature}})["thinking"],
             piece.reasoning);
    if (!piece.content.empty()) append(block("text", {{"type", "text"}, {"text", ""}})["text"], piece.content);
    for (const ToolCall& call : piece.tool_calls)
      content_.push_back(
          {{"type", "tool_use"}, {"id", "toolu_" + random_id()}, {"name", call.name}, {"input", input_of(call)}});
  }
  void ended(int, const AnswerEnd& end) override {
    Json usage = usage_json(end.usage.prompt_tokens, end.usage.cached_tokens, end.usage.completion_tokens);
    usage["diffusion"] = diffusion_usage(end.usage);
    Json message = message_json(form_, std::move(content_), std::move(usage));
    message["stop_reason"] = stop_reason(end.reason);
    if (!end.stop.empty()) message["stop_sequence"] = end.stop;
    body_ = json_text(message);
  }
  void done(const AnswerUsage&) override { outbox_->respond(200, body_); }
  void failed(const ApiError& error) override { outbox_->respond(error.status, json_text(error.anthropic())); }

 private:
  static void append(Json& text, const std::string& more) { text.get_ref<std::string&>() += more; }
  /// The last block where it is of this kind, else a new one.
  Json& block(const std::string& kind, Json fresh) {
    if (content_.empty() || content_.back()["type"] != kind) content_.push_back(std::move(fresh));
    return content_.back();
  }

  ResponseForm form_;
  std::shared_ptr<Outbox> outbox_;
  Json content_ = Json::array();
  std::string body_;
};

}  // namespace

std::unique_ptr<AnswerSink> make_messages_sink(ResponseForm form, std::shared_ptr<Outbox> outbox) {
  if (form.stream) return std::make_unique<MessagesStream>(std::move(form), std::move(outbox));
  return std::make_unique<MessagesWhole>(std::move(form), std::move(outbox));
}

}  // namespace dgemma::server
