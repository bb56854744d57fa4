// What OpenAI's two endpoints have in common when they answer: a stream of chunks, or one object.
//
// A stream writes each chunk as an event ("data: {...}\n\n") when it is final, and ends with "data: [DONE]". With
// drafts, further chunks without text carry "diffusion" (draft_events.h), which other clients ignore. What differs
// between the endpoints is how a choice looks: chat_sink.cc, completion_sink.cc. Test: tests/server/sink_test.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/answer.h"
#include "server/draft_events.h"
#include "server/outbox.h"
#include "server/request_options.h"

namespace dgemma::server {

/// What stands in every object of one response, and how the answer is to be written.
struct ResponseForm {
  std::string id;       ///< without its prefix
  int64_t created = 0;  ///< seconds since 1970
  std::string model;
  std::string fingerprint;  ///< kernels and precision: what the text may depend on in the last bit
  bool stream = false, include_usage = false, logprobs = false, drafts = false;
  const Tokenizer* tokenizer = nullptr;  ///< for the texts of drafts
};

constexpr const char* kChatId = "chatcmpl-";  ///< how the ids of chats begin

const char* openai_finish_reason(EndReason reason);
Json openai_usage(const AnswerUsage& usage);
/// Counts that only diffusion has.
Json diffusion_usage(const AnswerUsage& usage);
/// One event of a stream: "data: {...}\n\n".
std::string sse_data(const Json& json);

class OpenAiStream : public AnswerSink {
 public:
  OpenAiStream(ResponseForm form, const char* id_prefix, const char* object, std::shared_ptr<Outbox> outbox);
  void started(int choice, const Started& event) override;
  void canvas(int choice, const CanvasStarted& event) override;
  void draft(int choice, const CanvasDraft& event) override;
  void committed(int choice, const Committed& event) override;
  void done(const AnswerUsage& total) override;
  void failed(const ApiError& error) override;

 protected:
  /// A choice that says nothing.
  virtual Json empty_choice(int choice) const = 0;
  void send(Json choice) { write(std::move(choice), nullptr); }

 private:
  void write(Json choice, Json diffusion);
  Json head() const;

  ResponseForm form_;
  const char *id_prefix_, *object_;
  std::shared_ptr<Outbox> outbox_;
  std::optional<DraftEvents> drafts_;
};

class OpenAiWhole : public AnswerSink {
 public:
  OpenAiWhole(ResponseForm form, const char* id_prefix, const char* object, std::shared_ptr<Outbox> outbox)
      : form_(std::move(form)), id_prefix_(id_prefix), object_(object), outbox_(std::move(outbox)) {}
  void started(int, const Started&) override { piece_ = {}; }
  void piece(int choice, AnswerPiece piece) override;
  void ended(int choice, const AnswerEnd& end) override { choices_.push_back(whole_choice(choice, piece_, end)); }
  void done(const AnswerUsage& total) override;
  void failed(const ApiError& error) override;

 protected:
  virtual Json whole_choice(int choice, const AnswerPiece& all, const AnswerEnd& end) const = 0;
  const ResponseForm& form() const { return form_; }

 private:
  ResponseForm form_;
  const char *id_prefix_, *object_;
  std::shared_ptr<Outbox> outbox_;
  AnswerPiece piece_;
  Json choices_ = Json::array();
};

/// POST /v1/chat/completions.
std::unique_ptr<AnswerSink> make_chat_sink(ResponseForm form, std::shared_ptr<Outbox> outbox);
/// POST /v1/completions.
std::unique_ptr<AnswerSink> make_completion_sink(ResponseForm form, std::shared_ptr<Outbox> outbox);

}  // namespace dgemma::server
