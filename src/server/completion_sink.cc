// How a choice of POST /v1/completions looks (declared in openai_sink.h). Test: tests/server/sink_test.cc.
#include <utility>

#include "server/openai_sink.h"

namespace dgemma::server {
namespace {

/// `offset`: bytes of the text before these tokens; moved past them.
Json logprobs_json(const std::vector<TokenLogprob>& tokens, size_t& offset) {
  Json texts = Json::array(), logprobs = Json::array(), top = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : tokens) {
    texts.push_back(token.text);
    logprobs.push_back(token.logprob);
    top.push_back({{token.text, token.logprob}});
    offsets.push_back(offset);
    offset += token.text.size();
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

Json choice_json(int choice, const std::string& text, Json logprobs, Json finish_reason) {
  return {{"index", choice},
          {"text", text},
          {"logprobs", std::move(logprobs)},
          {"finish_reason", std::move(finish_reason)}};
}

class CompletionStream : public OpenAiStream {
 public:
  CompletionStream(ResponseForm form, std::shared_ptr<Outbox> outbox)
      : OpenAiStream(std::move(form), "cmpl-", "text_completion", std::move(outbox)) {}

  void started(int choice, const Started& event) override {
    OpenAiStream::started(choice, event);
    offset_ = 0;
  }
  void piece(int choice, AnswerPiece piece) override {
    if (piece.content.empty()) return;
    send(choice_json(choice, piece.content,
                     piece.logprobs.empty() ? Json(nullptr) : logprobs_json(piece.logprobs, offset_), nullptr));
  }
  void ended(int choice, const AnswerEnd& end) override {
    send(choice_json(choice, "", nullptr, openai_finish_reason(end.reason)));
  }

 private:
  Json empty_choice(int choice) const override { return choice_json(choice, "", nullptr, nullptr); }
  size_t offset_ = 0;
};

class CompletionWhole : public OpenAiWhole {
 public:
  CompletionWhole(ResponseForm form, std::shared_ptr<Outbox> outbox)
      : OpenAiWhole(std::move(form), "cmpl-", "text_completion", std::move(outbox)) {}

 private:
  Json whole_choice(int choice, const AnswerPiece& all, const AnswerEnd& end) const override {
    size_t offset = 0;
    return choice_json(choice, all.content, form().logprobs ? logprobs_json(all.logprobs, offset) : Json(nullptr),
                       openai_finish_reason(end.reason));
  }
};

}  // namespace

std::unique_ptr<AnswerSink> make_completion_sink(ResponseForm form, std::shared_ptr<Outbox> outbox) {
  if (form.stream) return std::make_unique<CompletionStream>(std::move(form), std::move(outbox));
  return std::make_unique<CompletionWhole>(std::move(form), std::move(outbox));
}

}  // namespace dgemma::server
