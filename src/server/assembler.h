// AnswerAssembler: one session's events in, pieces of the answer out: content, reasoning, tool calls, cut at stop
// strings.
//
// Tokens are read one by one, so that a stop string ends the answer within a canvas and the tokens behind it are not
// counted. Held back are half characters, partial markers (AnswerReader) and beginnings of stop strings (StopMatcher).
// Test: tests/server/assembler_test.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/answer.h"
#include "server/stop_matcher.h"

namespace dgemma::server {

class AnswerAssembler {
 public:
  /// `enough` is called when the rest of the answer is not needed any more: to stop the session.
  AnswerAssembler(const AnswerRequest& request, const Tokenizer& tokenizer, int choice, AnswerSink& sink,
                  std::function<void()> enough);

  void on_event(const Event& event);

 private:
  void on(const Started& started);
  void on(const CanvasStarted& canvas);
  void on(const CanvasDraft& draft);
  void on(const Committed& committed);
  void on(const Finished& finished);
  void take(AnswerDelta delta, AnswerPiece& piece);
  TokenLogprob logprob_of(size_t row, int32_t id) const;
  void take_logprobs(AnswerPiece& piece, size_t released);
  bool over() const { return stops_.matched() || one_call_made_; }

  const AnswerRequest& request_;
  const Tokenizer& tokenizer_;
  int choice_;
  AnswerSink& sink_;
  std::function<void()> enough_;
  AnswerReader reader_;
  StopMatcher stops_;
  // Of the canvas's last step.
  std::vector<float> last_logprobs_;  ///< [L]
  std::vector<TopToken> last_top_;    ///< [L, top_tokens]
  std::vector<TokenLogprob> unread_;  ///< tokens that may become content
  std::vector<TokenLogprob> unreleased_;
  size_t content_bytes_ = 0, released_bytes_ = 0;
  int tokens_ = 0, reasoning_tokens_ = 0, tool_calls_ = 0;
  bool one_call_made_ = false;
};

}  // namespace dgemma::server
