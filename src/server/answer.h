// What every protocol asks for and gets, without its JSON: a request for an answer, and the pieces of the answer.
//
// chat_request.cc and others make an AnswerRequest of a body; AnswerAssembler makes pieces of a session's events; an
// AnswerSink writes them as chunks or as one object. All of a sink's calls come on one thread, in this order:
//
//     for each choice, prompt by prompt: started (canvas draft* committed piece)* ... ended
//     then once: done
//
// or failed, at any time, as the last one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dgemma/events.h"
#include "dgemma/options.h"
#include "dgemma/text.h"
#include "server/api_error.h"

namespace dgemma::server {

struct AnswerRequest {
  std::vector<std::vector<int32_t>> prompts;  ///< ids of each, with `forced` at the end; more than one in completions
  std::vector<int32_t> forced;                ///< first ids of the answer, given by the request (tool_choice)
  AnswerReader::Form form = AnswerReader::Form::kChat;
  GenerateOptions generate;
  std::vector<std::string> stop;
  int choices = 1;  ///< of each prompt
  bool logprobs = false;
  bool drafts = false;
  bool several_tool_calls = true;
};

/// A token that a row might have become.
struct TopLogprob {
  std::string text;    ///< its bytes: half a character too
  double logprob = 0;  ///< nats, after temperature
};

/// One token of the content with its probability at the last step.
struct TokenLogprob {
  std::string text;
  double logprob = 0;
  std::vector<TopLogprob> top = {};  ///< GenerateOptions::top_tokens of them, itself the first
};

/// What became final.
struct AnswerPiece {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
  std::vector<TokenLogprob> logprobs;  ///< of `content`, where asked for
  bool empty() const { return content.empty() && reasoning.empty() && tool_calls.empty() && logprobs.empty(); }
};

enum class EndReason { kStop, kStopString, kLength, kToolCalls, kCancelled };

/// Counts of one choice, of a prompt's, or of all.
struct AnswerUsage {
  int prompt_tokens = 0;
  int cached_tokens = 0;
  int completion_tokens = 0;
  int reasoning_tokens = 0;
  int denoising_steps = 0;
  std::vector<int> steps_per_canvas;
  Timing timing;
  double queue_s = 0;

  /// The usage of a further choice of the same prompt, which counts once.
  void add_choice(const AnswerUsage& other);
  /// The usage of a further prompt.
  void add_prompt(const AnswerUsage& other);
  double tokens_per_forward() const { return denoising_steps == 0 ? 0 : 1.0 * completion_tokens / denoising_steps; }
};

struct AnswerEnd {
  EndReason reason = EndReason::kStop;
  std::string stop;  ///< the stop string that was found
  AnswerUsage usage;
};

class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void started(int choice, const Started& event) = 0;
  // What only diffusion can show.
  virtual void canvas(int, const CanvasStarted&) {}
  virtual void draft(int, const CanvasDraft&) {}
  virtual void committed(int, const Committed&) {}
  virtual void piece(int choice, AnswerPiece piece) = 0;
  virtual void ended(int choice, const AnswerEnd& end) = 0;
  virtual void done(const AnswerUsage& total) = 0;
  virtual void failed(const ApiError& error) = 0;
};

}  // namespace dgemma::server
