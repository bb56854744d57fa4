// Implements dgemma/text.h on the text room. Test: tests/engine/engine_test.cc.
#include "engine/public_text.h"

#include "engine/model_source.h"
#include "engine/public_chat.h"
#include "text/answer_parser.h"
#include "text/chat.h"
#include "text/detokenizer.h"

namespace dgemma {

struct Tokenizer::Impl {
  text::Tokenizer tokenizer;
};

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer engine::public_tokenizer(const text::Tokenizer& tokenizer) {
  return Tokenizer(std::make_shared<const Tokenizer::Impl>(Tokenizer::Impl{tokenizer}));
}

Result<Tokenizer> Tokenizer::open(const std::string& path) {
  DG_TRY_ASSIGN(const engine::FoundTokenizer found, engine::open_tokenizer(path));
  return engine::public_tokenizer(found.tokenizer);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const { return impl_->tokenizer.encode(text); }
std::vector<int32_t> Tokenizer::encode_plain(std::string_view text) const {
  return impl_->tokenizer.encode_plain(text);
}
Result<std::string> Tokenizer::decode(std::span<const int32_t> ids, bool keep_control) const {
  return impl_->tokenizer.decode(ids, keep_control ? text::ControlText::kKeep : text::ControlText::kDropSpecial);
}
std::string Tokenizer::piece(int32_t id) const { return impl_->tokenizer.piece(id); }
std::string Tokenizer::bytes(int32_t id) const { return impl_->tokenizer.bytes(id); }
int Tokenizer::vocab_size() const { return impl_->tokenizer.vocab_size(); }
int32_t Tokenizer::bos_id() const { return impl_->tokenizer.bos_id(); }

struct AnswerReader::Impl {
  text::Detokenizer detokenizer;
  text::AnswerParser parser;
  Form form;

  AnswerDelta read(const std::string& text) {
    if (form == Form::kRaw) return {text, "", {}};
    return as_public(parser.push(text));
  }
  static AnswerDelta as_public(text::AnswerDelta delta) {
    AnswerDelta out{std::move(delta.content), std::move(delta.reasoning), {}};
    for (text::ToolCall& call : delta.tool_calls)
      out.tool_calls.push_back({std::move(call.name), std::move(call.arguments)});
    return out;
  }
};

AnswerReader::AnswerReader(const Tokenizer& tokenizer, Form form)
    : impl_(new Impl{
          text::Detokenizer(tokenizer.impl_->tokenizer,
                            form == Form::kRaw ? text::ControlText::kDropSpecial : text::ControlText::kKeepMarkers),
          text::AnswerParser(form == Form::kChat ? text::ToolCalls::kRead : text::ToolCalls::kWritten), form}) {}
AnswerReader::AnswerReader(AnswerReader&&) noexcept = default;
AnswerReader& AnswerReader::operator=(AnswerReader&&) noexcept = default;
AnswerReader::~AnswerReader() = default;

AnswerDelta AnswerReader::push(std::span<const int32_t> ids) { return impl_->read(impl_->detokenizer.push(ids)); }

AnswerDelta AnswerReader::finish() {
  const std::string rest = impl_->detokenizer.finish();
  if (impl_->form == Form::kRaw) return {rest, "", {}};
  text::AnswerDelta all = impl_->parser.push(rest);
  all.append(impl_->parser.finish());
  return Impl::as_public(std::move(all));
}

Result<std::string> render_chat(const ChatRequest& request) {
  DG_TRY_ASSIGN(const text::ChatRequest parsed, engine::chat_request(request));
  return text::render_chat(parsed);
}

Result<std::string> render_chat(std::string_view request_json) {
  DG_TRY_ASSIGN(const text::ChatRequest request, text::ChatRequest::parse(request_json));
  return text::render_chat(request);
}

}  // namespace dgemma
