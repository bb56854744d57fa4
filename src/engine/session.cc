// Session: the timeline of one conversation, its cache, and the answer loop around diffusion/.
//
// Implements dgemma/session.h. Test: tests/engine/session_test.cc.
#include "dgemma/session.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <stop_token>

#include "base/format.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "diffusion/canvas_loop.h"
#include "engine/broken_weights.h"
#include "engine/engine_state.h"
#include "engine/model_denoiser.h"
#include "engine/public_chat.h"
#include "engine/sampler_values.h"
#include "engine/session_state.h"
#include "text/detokenizer.h"

namespace dgemma {
namespace {

// A cache of at most so many bytes is promised without asking the system what is left, which takes 0.1 ms: 1 % of a
// small model's answer.
constexpr uint64_t kLittle = uint64_t{8} << 20;
constexpr uint64_t kPlenty = uint64_t{1} << 62;

Unexpected invalid(const std::string& message) { return {ErrorCode::kInvalidRequest, message}; }

Result<void> check_ids(std::span<const int32_t> ids, int vocab, const char* what) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocab)
      return invalid(base::concat(what, ": position ", i, ": expected an id from 0 to ", vocab - 1, ", got ", ids[i]));
  return {};
}

/// What to do where a prompt does not fit.
const char* shorten_text(const SessionState& state) {
  const bool whole = state.context >= state.engine->model.config().context_length;
  return whole ? ". Shorten the prompt: this is all the context that the model has"
               : ". Shorten the prompt or give a larger context";
}

uint64_t random_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

/// At its end memory that was promised to the answer and not taken is given back.
class PromiseScope {
 public:
  explicit PromiseScope(SessionState& state) : state_(state) {}
  PromiseScope(const PromiseScope&) = delete;
  PromiseScope& operator=(const PromiseScope&) = delete;
  ~PromiseScope() { state_.keep_promise(state_.planned_context); }

 private:
  SessionState& state_;
};

/// The stop token as the flag that sweeps look at. Wakes the session where it waits for its turn.
class StopFlag {
 public:
  StopFlag(const std::stop_token& stop, engine::SweepQueue& queue) : queue_(queue), on_stop_(stop, Raise{*this}) {}
  const std::atomic<bool>* get() const { return &stopped_; }

 private:
  struct Raise {
    StopFlag& flag;
    void operator()() const {
      flag.stopped_.store(true);
      flag.queue_.wake();
    }
  };
  engine::SweepQueue& queue_;
  std::atomic<bool> stopped_{false};
  std::stop_callback<Raise> on_stop_;  // last: it may call at once
};

/// One answer while it is made.
class AnswerRun {
 public:
  AnswerRun(SessionState& state, const std::atomic<bool>* cancel, const EventCallback& on_event)
      : state_(state), cancel_(cancel), on_event_(on_event) {
    if (state.engine->tokenizer) detokenizer_.emplace(*state.engine->tokenizer, text::ControlText::kKeepMarkers);
  }

  Result<void> prepare(const GenerateOptions& options);
  Result<Answer> run(const GenerateOptions& options);

 private:
  void on_canvas(const diffusion::FinishedCanvas& canvas);
  void emit(const Event& event) const {
    if (on_event_) on_event_(event);
  }

  SessionState& state_;
  const std::atomic<bool>* cancel_;
  const EventCallback& on_event_;
  std::optional<text::Detokenizer> detokenizer_;
  diffusion::LoopOptions loop_;
  Answer answer_;
};

Result<void> AnswerRun::prepare(const GenerateOptions& options) {
  const model::Config& config = state_.engine->model.config();
  const auto prompt = static_cast<int>(state_.timeline.size());
  if (prompt == 0) return invalid("prompt: expected at least one token, got none. Sync a prompt first");
  DG_TRY_ASSIGN(loop_.sampler, engine::resolve_sampler(options.sampler, config.sampler));
  loop_.canvas_length = config.canvas_length, loop_.vocab_size = config.vocab;
  loop_.max_canvases = (state_.context - prompt) / config.canvas_length;
  if (loop_.max_canvases < 1)
    return Unexpected(ErrorCode::kContextFull,
                      base::concat("context: expected room for a prompt of ", prompt, " tokens and a canvas of ",
                                   config.canvas_length, ", got ", state_.context, shorten_text(state_)));
  const int64_t room = int64_t{loop_.max_canvases} * config.canvas_length;
  if (options.max_new_tokens && *options.max_new_tokens < 1)
    return invalid(base::concat("max_new_tokens: expected at least 1, got ", *options.max_new_tokens));
  loop_.max_new_tokens =
      static_cast<int>(std::min<int64_t>(options.max_new_tokens.value_or(static_cast<int>(room)), room));
  loop_.eos_ids = options.eos_ids.value_or(state_.engine->info.eos_ids);
  DG_TRY(check_ids(options.eos_ids.value_or(std::vector<int32_t>{}), config.vocab, "eos_ids"));
  const int most_top = std::min(static_cast<int>(kMostTopTokens), config.vocab);
  if (options.top_tokens < 0 || options.top_tokens > most_top)
    return invalid(base::concat("top_tokens: expected 0 to ", most_top, ", got ", options.top_tokens));
  if (options.canvas_ids) {
    if (options.canvas_ids->size() != static_cast<size_t>(config.canvas_length))
      return invalid(
          base::concat("canvas_ids: expected ", config.canvas_length, " ids, got ", options.canvas_ids->size()));
    DG_TRY(check_ids(*options.canvas_ids, config.vocab, "canvas_ids"));
    loop_.first_canvas = *options.canvas_ids;
  }
  loop_.seed = options.seed ? *options.seed : random_seed();
  loop_.cancel = cancel_;
  answer_.seed = loop_.seed;
  return state_.plan_memory(prompt + loop_.max_new_tokens);
}

void AnswerRun::on_canvas(const diffusion::FinishedCanvas& canvas) {
  std::string piece;
  if (detokenizer_) piece = detokenizer_->push(canvas.tokens);
  answer_.text += piece;
  state_.keep_promise(state_.planned);
  emit(Committed{canvas.canvas, canvas.steps, canvas.converged, canvas.canvas_tokens, canvas.tokens, piece});
}

Result<Answer> AnswerRun::run(const GenerateOptions& options) {
  const base::Stopwatch watch;
  Finished& summary = answer_.summary;
  summary.prompt_tokens = static_cast<int>(state_.timeline.size());
  summary.cached_tokens = static_cast<int>(state_.cache.length());
  emit(Started{state_.timeline, summary.cached_tokens, loop_.seed, loop_.canvas_length, loop_.vocab_size, loop_.eos_ids,
               loop_.first_canvas, loop_.max_new_tokens, loop_.sampler});
  engine::SweepQueue::Rider rider(state_.engine->runner.queue());
  const std::span<const int32_t> rest = std::span<const int32_t>(state_.timeline).subspan(state_.encoded.size());
  engine::ModelDenoiser denoiser(state_.engine->model.config(), rider, state_.cache, state_.encoded, rest, cancel_,
                                 options, summary.timing);
  diffusion::LoopObserver observer;
  observer.on_start = [this](const CanvasStarted& canvas) { emit(canvas); };
  observer.on_step = [this, &denoiser](CanvasDraft draft) {
    draft.top = denoiser.top();
    emit(draft);
  };
  observer.on_canvas = [this](const diffusion::FinishedCanvas& canvas) { on_canvas(canvas); };
  DG_TRY_ASSIGN(diffusion::LoopResult loop, diffusion::run_canvases(loop_, denoiser, observer));
  if (detokenizer_) answer_.text += detokenizer_->finish();
  summary.reason = loop.reason;
  summary.completion_tokens = static_cast<int>(loop.tokens.size());
  summary.steps_per_canvas = std::move(loop.steps_per_canvas);
  for (const int steps : summary.steps_per_canvas) summary.denoising_steps += steps;
  if (summary.denoising_steps > 0)
    summary.tokens_per_forward = static_cast<double>(summary.completion_tokens) / summary.denoising_steps;
  summary.timing.total_s = watch.seconds();
  state_.timeline.insert(state_.timeline.end(), loop.tokens.begin(), loop.tokens.end());
  answer_.tokens = std::move(loop.tokens);
  emit(summary);
  return std::move(answer_);
}

}  // namespace

Result<void> SessionState::plan_memory(int64_t positions) {
  const uint64_t needed = std::max(planned_context, engine->model.cache_bytes(positions));
  const uint64_t rest = needed - std::min(needed, cache.bytes());
  const uint64_t available = promise.ask(rest, rest <= kLittle ? kPlenty : base::available_memory_bytes());
  if (rest <= available) {
    planned = needed;
    cache.plan(std::max<int64_t>(positions, planned_context > 0 ? context : 0));
    return {};
  }
  return Unexpected(ErrorCode::kOutOfMemory,
                    base::concat("context: the cache of ", positions, " tokens takes ", base::bytes_text(needed),
                                 " of memory, ", base::bytes_text(available), " are available. Ask for fewer tokens"));
}

void SessionState::forget_unfinished() {
  const size_t kept = std::min(encoded.size(), timeline.size());
  encoded.resize(static_cast<size_t>(cache.truncate(static_cast<int64_t>(kept))));
}

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

Session::Session(std::unique_ptr<SessionState> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<void> Session::sync_tokens(std::span<const int32_t> ids) {
  const model::Config& config = state_->engine->model.config();
  if (ids.empty()) return invalid("prompt: expected at least one token, got none");
  DG_TRY(check_ids(ids, config.vocab, "prompt"));
  if (static_cast<int64_t>(ids.size()) + config.canvas_length > state_->context)
    return Unexpected(ErrorCode::kContextFull,
                      base::concat("prompt: expected at most ", std::max(0, state_->context - config.canvas_length),
                                   " tokens beside a canvas of ", config.canvas_length, " in a context of ",
                                   state_->context, ", got ", ids.size(), shorten_text(*state_)));
  const auto same = std::mismatch(ids.begin(), ids.end(), state_->encoded.begin(), state_->encoded.end());
  const int64_t kept = state_->cache.truncate(same.first - ids.begin());
  state_->encoded.resize(static_cast<size_t>(kept));
  state_->timeline.assign(ids.begin(), ids.end());
  return {};
}

Result<void> Session::sync_chat(const ChatRequest& request) {
  DG_TRY_ASSIGN(const std::vector<int32_t> ids, state_->engine->encode_chat(engine::chat_request(request)));
  return sync_tokens(ids);
}

Result<void> Session::sync_chat(std::string_view request_json) {
  DG_TRY_ASSIGN(const std::vector<int32_t> ids, state_->engine->encode_chat(text::ChatRequest::parse(request_json)));
  return sync_tokens(ids);
}

Result<Session> Session::fork(size_t tokens) const {
  const auto shared = static_cast<int64_t>(std::min(tokens, state_->encoded.size()));
  auto fork = std::make_unique<SessionState>(state_->engine, state_->context);
  fork->planned_context = state_->planned_context;
  DG_TRY(fork->plan_memory(shared));
  const int64_t copied = fork->cache.copy_beginning(state_->cache, shared);
  fork->keep_promise(fork->planned_context);
  fork->encoded.assign(state_->encoded.begin(), state_->encoded.begin() + copied);
  fork->timeline = fork->encoded;
  return Session(std::move(fork));
}

std::span<const int32_t> Session::tokens() const { return state_->timeline; }

uint64_t Session::memory_bytes() const { return state_->cache.bytes(); }

Result<Answer> Session::generate(const GenerateOptions& options, const EventCallback& on_event) {
  const PromiseScope promise(*state_);
  const StopFlag stop(options.stop, state_->engine->runner.queue());
  AnswerRun run(*state_, stop.get(), on_event);
  DG_TRY(run.prepare(options));
  Result<Answer> answer = run.run(options);
  if (!answer) state_->forget_unfinished();
  if (!answer && answer.error().code == ErrorCode::kModelFile)
    return engine::broken_weights(state_->engine->loaded.checkpoint);
  return answer;
}

}  // namespace dgemma
