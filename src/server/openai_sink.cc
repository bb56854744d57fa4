// See openai_sink.h.
#include "server/openai_sink.h"

#include <utility>

namespace dgemma::server {
namespace {

/// What all objects of a response begin with.
Json response_head(const ResponseForm& form, const std::string& id_prefix, const char* object) {
  Json head = {{"id", id_prefix + form.id},
               {"object", object},
               {"created", form.created},
               {"model", form.model},
               {"system_fingerprint", form.fingerprint}};
  if (id_prefix == kChatId) head["service_tier"] = "default";  // completions have none
  return head;
}

}  // namespace

const char* openai_finish_reason(EndReason reason) {
  switch (reason) {
    case EndReason::kLength:
      return "length";
    case EndReason::kToolCalls:
      return "tool_calls";
    default:
      return "stop";
  }
}

Json diffusion_usage(const AnswerUsage& usage) {
  return {{"denoising_steps", usage.denoising_steps},
          {"canvases", usage.steps_per_canvas.size()},
          {"steps_per_canvas", usage.steps_per_canvas},
          {"tokens_per_forward", usage.tokens_per_forward()},
          {"timing",
           {{"prompt_s", usage.timing.prompt_s},
            {"denoise_s", usage.timing.denoise_s},
            {"commit_s", usage.timing.commit_s},
            {"total_s", usage.timing.total_s},
            {"queue_s", usage.queue_s}}}};
}

// Clients that were generated from OpenAI's schema expect counts of what does not exist here too.
Json openai_usage(const AnswerUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"audio_tokens", 0}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", usage.reasoning_tokens},
            {"audio_tokens", 0},
            {"accepted_prediction_tokens", 0},
            {"rejected_prediction_tokens", 0}}},
          {"diffusion", diffusion_usage(usage)}};
}

std::string sse_data(const Json& json) { return "data: " + json_text(json) + "\n\n"; }

// A stream ------------------------------------------------------------------------------------------------------------

OpenAiStream::OpenAiStream(ResponseForm form, const char* id_prefix, const char* object, std::shared_ptr<Outbox> outbox)
    : form_(std::move(form)), id_prefix_(id_prefix), object_(object), outbox_(std::move(outbox)) {
  if (form_.drafts) drafts_.emplace(*form_.tokenizer);
}

Json OpenAiStream::head() const { return response_head(form_, id_prefix_, object_); }

void OpenAiStream::write(Json choice, Json diffusion) {
  Json chunk = head();
  chunk["choices"] = Json::array({std::move(choice)});
  if (form_.include_usage) chunk["usage"] = nullptr;
  if (!diffusion.is_null()) chunk["diffusion"] = std::move(diffusion);
  outbox_->write(sse_data(chunk));
}

void OpenAiStream::started(int choice, const Started& event) {
  outbox_->begin(200);
  if (drafts_) write(empty_choice(choice), DraftEvents::started(event));
}

void OpenAiStream::canvas(int choice, const CanvasStarted& event) {
  if (drafts_ && outbox_->has_room()) write(empty_choice(choice), drafts_->canvas(event));
}

void OpenAiStream::draft(int choice, const CanvasDraft& event) {
  if (!drafts_) return;
  if (event.last || outbox_->has_room())
    write(empty_choice(choice), drafts_->draft(event));
  else
    drafts_->skip(event);
}

void OpenAiStream::committed(int choice, const Committed& event) {
  if (drafts_) write(empty_choice(choice), DraftEvents::committed(event));
}

void OpenAiStream::done(const AnswerUsage& total) {
  std::string last;
  if (form_.include_usage) {
    Json chunk = head();
    chunk["choices"] = Json::array();
    chunk["usage"] = openai_usage(total);
    last = sse_data(chunk);
  }
  outbox_->close(last + "data: [DONE]\n\n");
}

void OpenAiStream::failed(const ApiError& error) {
  const Json json = error.openai();
  outbox_->fail(error.status, json_text(json), sse_data(json));
}

// One object ----------------------------------------------------------------------------------------------------------

void OpenAiWhole::piece(int, AnswerPiece piece) {
  piece_.content += piece.content;
  piece_.reasoning += piece.reasoning;
  for (ToolCall& call : piece.tool_calls) piece_.tool_calls.push_back(std::move(call));
  for (TokenLogprob& token : piece.logprobs) piece_.logprobs.push_back(std::move(token));
}

void OpenAiWhole::done(const AnswerUsage& total) {
  Json response = response_head(form_, id_prefix_, object_);
  response["choices"] = std::move(choices_);
  response["usage"] = openai_usage(total);
  outbox_->respond(200, json_text(response));
}

void OpenAiWhole::failed(const ApiError& error) { outbox_->respond(error.status, json_text(error.openai())); }

}  // namespace dgemma::server
