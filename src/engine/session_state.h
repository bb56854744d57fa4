// SessionState: the inside of a Session.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "dgemma/session.h"
#include "engine/engine_state.h"
#include "model/kv_cache.h"

namespace dgemma {

struct SessionState {
  SessionState(std::shared_ptr<const EngineState> e, int context_tokens)
      : engine(std::move(e)), context(context_tokens), cache(engine->model.new_cache()), promise(engine->ledger) {}

  /// Has the memory of a cache of so many positions promised. Errors: kOutOfMemory where it does not fit into what is
  /// available beside what other sessions were promised.
  Result<void> plan_memory(int64_t positions);
  /// Drops what an answer that failed has encoded of its own.
  void forget_unfinished();
  /// Brings the promise up to what the cache has taken of `bytes`.
  void keep_promise(uint64_t bytes) { promise.keep(bytes - std::min(bytes, cache.bytes())); }

  std::shared_ptr<const EngineState> engine;
  int context;  // most tokens, prompt and answer
  model::KvCache cache;
  std::vector<int32_t> encoded;   // the tokens in the cache
  std::vector<int32_t> timeline;  // prompt and committed tokens; `encoded` is a prefix of it
  engine::MemoryLedger::Promise promise;
  uint64_t planned = 0;          // bytes of the cache, taken or promised
  uint64_t planned_context = 0;  // of these, for as long as the session lives
};

}  // namespace dgemma
