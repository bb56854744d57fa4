// Engine: opens a model and hands out sessions. Implements dgemma/engine.h. Test: tests/engine/engine_test.cc.
#include "dgemma/engine.h"

#include "base/format.h"
#include "dgemma/session.h"
#include "engine/engine_state.h"
#include "engine/loaded_model.h"
#include "engine/model_source.h"
#include "engine/public_chat.h"
#include "engine/public_text.h"
#include "engine/sampler_values.h"
#include "engine/session_state.h"
#include "text/chat.h"

namespace dgemma {

Result<void> check_engine_options(const EngineOptions& options) {
  DG_TRY(engine::resolve_settings(options));
  return {};
}

Engine::Engine(std::shared_ptr<const EngineState> state) : state_(std::move(state)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Engine> Engine::open(const EngineOptions& options) {
  DG_TRY_ASSIGN(engine::OpenedModel opened, engine::open_model(options));
  DG_TRY_ASSIGN(const auto found, engine::find_tokenizer(opened.checkpoint));
  DG_TRY_ASSIGN(const auto chat_template, engine::find_chat_template(opened.checkpoint));
  const Result<void> can_chat = engine::check_chat(found, chat_template);
  if (options.chat) DG_TRY(can_chat);
  DG_TRY_ASSIGN(engine::LoadedModel loaded, engine::bind_model(std::move(opened), options.progress));

  auto state = std::make_shared<EngineState>(std::move(loaded));
  const model::Config& sizes = state->model.config();
  const model::Weights& weights = state->model.weights();
  const engine::Settings& settings = state->loaded.settings;
  ModelInfo& info = state->info;
  DG_TRY_ASSIGN(info.sampler, engine::resolve_sampler({}, sizes.sampler));
  info.path = options.model_path, info.architecture = "diffusion-gemma";
  info.canvas_length = sizes.canvas_length, info.vocab_size = sizes.vocab;
  info.context_length = sizes.context_length, info.layers = sizes.layers;
  info.parameters = weights.parameters, info.weight_bytes = weights.resident_bytes;
  info.eos_ids = engine::end_tokens(sizes, found);
  if (!sizes.ignored.empty()) info.notes.push_back(sizes.ignored + ": not known here, without effect");
  if (std::string note = engine::rows_note(found, sizes); !note.empty()) info.notes.push_back(std::move(note));
  info.bos_id = found ? found->tokenizer.bos_id() : sizes.bos_id;
  info.has_tokenizer = found.has_value();
  info.has_chat_template = chat_template && text::is_gemma4_template(chat_template->text);
  info.threads = state->runner.threads(), info.kernels = settings.table->name, info.compute = settings.compute;
  info.load_s = state->loaded.load_s;
  if (!can_chat) state->no_chat = can_chat.error(), info.no_chat = can_chat.error().message;
  if (found) {
    state->tokenizer = found->tokenizer;
    state->public_tokenizer = engine::public_tokenizer(found->tokenizer);
  }
  return Engine(std::move(state));
}

const ModelInfo& Engine::info() const { return state_->info; }

const Tokenizer* Engine::tokenizer() const { return state_->public_tokenizer ? &*state_->public_tokenizer : nullptr; }

Result<std::vector<int32_t>> Engine::encode_chat(const ChatRequest& request) const {
  return state_->encode_chat(engine::chat_request(request));
}

Result<std::vector<int32_t>> Engine::encode_chat(std::string_view request_json) const {
  return state_->encode_chat(text::ChatRequest::parse(request_json));
}

Result<std::vector<int32_t>> EngineState::encode_chat(const Result<text::ChatRequest>& request) const {
  if (no_chat) return Unexpected(*no_chat);
  if (!request) return Unexpected(request.error());
  return text::encode_chat(*request, *tokenizer);
}

Result<Session> Engine::new_session(const SessionOptions& options) const {
  const model::Config& config = state_->model.config();
  if (options.context < 0 || options.context > config.context_length)
    return Unexpected(ErrorCode::kUsage,
                      base::concat("context: expected 1 to ", config.context_length, " tokens, got ", options.context));
  auto session = std::make_unique<SessionState>(state_, options.context == 0 ? config.context_length : options.context);
  if (options.context != 0) {
    DG_TRY(session->plan_memory(options.context));
    session->planned_context = session->planned;
  }
  return Session(std::move(session));
}

}  // namespace dgemma
