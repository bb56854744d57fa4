// SessionState: the inside of a Session.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dgemma/session.h"
#include "engine/engine_state.h"
#include "model/kv_cache.h"

namespace dgemma {

struct SessionState {
  SessionState(std::shared_ptr<const EngineState> e, int context_tokens)
      : engine(std::move(e)), context(context_tokens), cache(engine->model.config()) {}

  /// Errors: kOutOfMemory where a cache of so many positions does not fit into what is available.
  Result<void> plan_memory(int64_t positions) const;

  std::shared_ptr<const EngineState> engine;
  int context;  // most tokens, prompt and answer
  model::KvCache cache;
  std::vector<int32_t> encoded;   // the tokens in the cache
  std::vector<int32_t> timeline;  // prompt and committed tokens; `encoded` is a prefix of it
  std::atomic<bool> running{false}, cancel{false};
};

}  // namespace dgemma
