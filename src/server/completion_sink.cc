// How a choice of POST /v1/completions looks (declared in openai_sink.h). Test: tests/server/sink_test.cc.
#include <cstdio>
#include <utility>

#include "base/utf8.h"
#include "server/openai_sink.h"

namespace dgemma::server {
namespace {

/// A token as text; half a character, which is always one byte, as OpenAI writes it: bytes:\xe2.
std::string token_text(const std::string& bytes) {
  const auto first = static_cast<unsigned char>(bytes.empty() ? 0 : bytes.front());
  if (bytes.size() != 1 || first < 0x80) return bytes;
  char text[16];
  std::snprintf(text, sizeof text, "bytes:\\x%02x", first);
  return text;
}

/// `offset`: characters of the text before these tokens; moved past them.
Json logprobs_json(const std::vector<TokenLogprob>& tokens, size_t& offset) {
  Json texts = Json::array(), logprobs = Json::array(), offsets = Json::array();
  Json tops = tokens.empty() ? Json::array() : Json();  // null where none are asked for
  for (const TokenLogprob& token : tokens) {
    Json top = Json::object();
    for (const TopLogprob& other : token.top) top.emplace(token_text(other.text), other.logprob);
    texts.push_back(token_text(token.text));
    logprobs.push_back(token.logprob);
    if (!token.top.empty()) tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += base::utf8_characters(token.text);
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
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
    if (piece.content.empty() && piece.logprobs.empty()) return;
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
