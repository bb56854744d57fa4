// ServedEngine: a loaded model with what serving it takes: its name and limits, places, caches, and prompts made of
// requests. Test: tests/server/service_test.cc.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dgemma/engine.h"
#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/scheduler.h"
#include "server/session_pool.h"

namespace dgemma::server {

struct ServedEngine {
  ServedEngine(Engine engine, const ServerOptions& options);

  /// Whether any request could be answered with the service's own options. Errors: kUsage (context, temperatures),
  /// kOutOfMemory (one cache of --context).
  Result<void> check_options(const SessionOptions& session) const;
  /// Fills in the prompt of a chat, with the beginning of the answer where tool_choice forces one.
  /// Errors: kInvalidRequest (the field is named), kContextFull.
  Result<void> make_prompt(ChatRequest& request) const;
  /// The same for all prompts. Text gets a bos token in front, as `dgemma generate --raw` gives it; ids are taken as
  /// they are.
  Result<void> make_prompt(CompletionRequest& request) const;
  const Tokenizer& tokenizer() const { return *engine.tokenizer(); }
  int context() const { return context_tokens == 0 ? model.info.context_length : context_tokens; }
  bool has_name(const std::string& name) const;

  // In this order: workers end before what they use.
  Engine engine;
  ServedModel model;
  int context_tokens;  ///< 0: as many as the model has
  SessionPool pool;
  Scheduler scheduler;

 private:
  Result<void> check_length(std::span<const int32_t> prompt, const std::string& field) const;
};

}  // namespace dgemma::server
