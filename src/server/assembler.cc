// See assembler.h.
#include "server/assembler.h"

#include <algorithm>
#include <span>
#include <utility>

namespace dgemma::server {

void AnswerUsage::add_choice(const AnswerUsage& other) {
  const int cached = std::max(cached_tokens, other.cached_tokens);
  add_prompt(other);
  prompt_tokens = other.prompt_tokens, cached_tokens = cached;
}

void AnswerUsage::add_prompt(const AnswerUsage& other) {
  prompt_tokens += other.prompt_tokens;
  cached_tokens += other.cached_tokens;
  completion_tokens += other.completion_tokens;
  reasoning_tokens += other.reasoning_tokens;
  denoising_steps += other.denoising_steps;
  steps_per_canvas.insert(steps_per_canvas.end(), other.steps_per_canvas.begin(), other.steps_per_canvas.end());
  timing.prompt_s += other.timing.prompt_s;
  timing.denoise_s += other.timing.denoise_s;
  timing.commit_s += other.timing.commit_s;
  timing.total_s += other.timing.total_s;
  queue_s = std::max(queue_s, other.queue_s);
}

AnswerAssembler::AnswerAssembler(const AnswerRequest& request, const Tokenizer& tokenizer, int choice, AnswerSink& sink,
                                 std::function<void()> enough)
    : request_(request),
      tokenizer_(tokenizer),
      choice_(choice),
      sink_(sink),
      enough_(std::move(enough)),
      reader_(tokenizer, request.form),
      stops_(request.stop) {
  reader_.push(request.forced);  // opens the tool call that the answer goes on with
}

void AnswerAssembler::on_event(const Event& event) {
  std::visit([this](const auto& e) { on(e); }, event);
}

void AnswerAssembler::on(const Started& started) { sink_.started(choice_, started); }

void AnswerAssembler::on(const CanvasStarted& canvas) {
  if (!over()) sink_.canvas(choice_, canvas);
}

void AnswerAssembler::on(const CanvasDraft& draft) {
  if (over()) return;
  if (draft.last && request_.logprobs) {
    last_logprobs_.assign(draft.best_logprob.begin(), draft.best_logprob.end());
    last_top_.assign(draft.top.begin(), draft.top.end());
  }
  sink_.draft(choice_, draft);
}

void AnswerAssembler::on(const Committed& committed) {
  if (over()) return;
  AnswerPiece piece;
  for (size_t row = 0; row < committed.tokens.size() && !over(); ++row) {
    const int32_t id = committed.tokens[row];
    ++tokens_;
    const bool control = tokenizer_.piece(id).empty();  // is no content
    if (request_.logprobs && !control) unread_.push_back(logprob_of(row, id));
    take(reader_.push({&id, 1}), piece);
    if (control) unread_.clear();  // what the reader held back before it, it has given or dropped
  }
  sink_.committed(choice_, committed);
  if (!piece.empty()) sink_.piece(choice_, std::move(piece));
  if (over()) enough_();
}

TokenLogprob AnswerAssembler::logprob_of(size_t row, int32_t id) const {
  TokenLogprob token{tokenizer_.bytes(id), row < last_logprobs_.size() ? double{last_logprobs_[row]} : 0.0};
  const auto count = static_cast<size_t>(request_.generate.top_tokens);
  if (last_top_.size() < (row + 1) * count) return token;
  for (const TopToken& top : std::span(last_top_).subspan(row * count, count))
    token.top.push_back({tokenizer_.bytes(top.id), double{top.logprob}});
  return token;
}

void AnswerAssembler::take(AnswerDelta delta, AnswerPiece& piece) {
  if (!delta.reasoning.empty()) {
    ++reasoning_tokens_;
    piece.reasoning += delta.reasoning;
  }
  if (!delta.content.empty()) {
    for (TokenLogprob& token : unread_) unreleased_.push_back(std::move(token));
    const std::string released = stops_.push(delta.content);
    take_logprobs(piece, released.size());
    piece.content += released;
  }
  if (!delta.content.empty() || !delta.reasoning.empty() || !delta.tool_calls.empty()) unread_.clear();
  for (ToolCall& call : delta.tool_calls) {
    if (one_call_made_ || stops_.matched()) break;
    ++tool_calls_;
    piece.tool_calls.push_back(std::move(call));
    one_call_made_ = !request_.several_tool_calls;
  }
}

/// Moves the tokens that begin within the next `released` bytes of content.
void AnswerAssembler::take_logprobs(AnswerPiece& piece, size_t released) {
  released_bytes_ += released;
  size_t taken = 0;
  for (TokenLogprob& token : unreleased_) {
    if (content_bytes_ >= released_bytes_) break;
    content_bytes_ += token.text.size();
    piece.logprobs.push_back(std::move(token));
    ++taken;
  }
  unreleased_.erase(unreleased_.begin(), unreleased_.begin() + static_cast<std::ptrdiff_t>(taken));
}

void AnswerAssembler::on(const Finished& finished) {
  AnswerPiece rest;
  if (!over()) {
    take(reader_.finish(), rest);
    const std::string held = stops_.finish();
    take_logprobs(rest, held.size());
    rest.content += held;
  }
  if (!rest.empty()) sink_.piece(choice_, std::move(rest));
  AnswerEnd end;
  const bool cancelled = finished.reason == FinishReason::kCancelled && !over();
  end.reason = stops_.matched()                                      ? EndReason::kStopString
               : cancelled                                           ? EndReason::kCancelled
               : finished.reason == FinishReason::kLength && !over() ? EndReason::kLength
               : tool_calls_ > 0                                     ? EndReason::kToolCalls
                                                                     : EndReason::kStop;
  end.stop = stops_.stop();
  AnswerUsage& usage = end.usage;
  usage.prompt_tokens = finished.prompt_tokens, usage.cached_tokens = finished.cached_tokens;
  usage.completion_tokens = tokens_, usage.reasoning_tokens = reasoning_tokens_;
  usage.denoising_steps = finished.denoising_steps, usage.steps_per_canvas = finished.steps_per_canvas;
  usage.timing = finished.timing;
  sink_.ended(choice_, end);
}

}  // namespace dgemma::server
