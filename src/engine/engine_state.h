// EngineState: what a loaded model is made of. Shared by its Engine and all its Sessions, immutable but for the runner
// and the ledger.
#pragma once

#include <optional>

#include "dgemma/engine.h"
#include "dgemma/text.h"
#include "engine/loaded_model.h"
#include "engine/memory_ledger.h"
#include "engine/sweep_runner.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace dgemma {

struct EngineState {
  explicit EngineState(engine::LoadedModel m)
      : loaded(std::move(m)), runner(model, *loaded.settings.table, loaded.settings.threads) {}

  const engine::LoadedModel loaded;
  const model::Model& model = loaded.model;
  mutable engine::SweepRunner runner;
  std::optional<text::Tokenizer> tokenizer;
  std::optional<Tokenizer> public_tokenizer;  // the same, as dgemma/text.h shows it
  std::optional<Error> no_chat;               // why encode_chat cannot be used
  ModelInfo info;
  mutable engine::MemoryLedger ledger;  // of the sessions

  /// See Engine::encode_chat.
  Result<std::vector<int32_t>> encode_chat(const Result<text::ChatRequest>& request) const;
};

}  // namespace dgemma
