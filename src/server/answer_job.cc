// See answer_job.h.
#include "server/answer_job.h"

#include <exception>
#include <new>
#include <utility>

#include "server/assembler.h"

namespace dgemma::server {
namespace {

/// Passes a choice's pieces on and keeps its end, to which the job adds what it knows.
class EndKeeper : public AnswerSink {
 public:
  explicit EndKeeper(AnswerSink& sink) : sink_(sink) {}
  void started(int choice, const Started& event) override { sink_.started(choice, event); }
  void canvas(int choice, const CanvasStarted& event) override { sink_.canvas(choice, event); }
  void draft(int choice, const CanvasDraft& event) override { sink_.draft(choice, event); }
  void committed(int choice, const Committed& event) override { sink_.committed(choice, event); }
  void piece(int choice, AnswerPiece piece) override { sink_.piece(choice, std::move(piece)); }
  void ended(int, const AnswerEnd& e) override { end = e; }
  void done(const AnswerUsage&) override {}
  void failed(const ApiError&) override {}

  AnswerEnd end;

 private:
  AnswerSink& sink_;
};

const Error kStopped{ErrorCode::kCancelled, "the answer was stopped"};

/// Why a job failed. Whoever still reads that it was stopped hears it from a service that ends.
ApiError failure(const Error& error) {
  if (error.code == ErrorCode::kCancelled) return {503, "cancelled", "the answer was stopped: the service ends"};
  return ApiError(error);
}

}  // namespace

AnswerJob::AnswerJob(const Engine& engine, SessionPool& pool, AnswerRequest request, std::unique_ptr<AnswerSink> sink,
                     std::unique_ptr<AnswerObserver> observer)
    : engine_(engine),
      pool_(pool),
      request_(std::move(request)),
      sink_(std::move(sink)),
      observer_(std::move(observer)) {}

void AnswerJob::fail(const ApiError& error) {
  observer_->on_error(error);
  sink_->failed(error);
}

void AnswerJob::run() {
  const auto waited = std::chrono::steady_clock::now() - submitted_;
  total_.queue_s = std::chrono::duration<double>(waited).count();
  try {
    if (const auto made = run_choices(); !made) fail(failure(made.error()));
  } catch (const std::bad_alloc&) {  // the session is gone, and what it held is free
    fail(ApiError(Error{ErrorCode::kOutOfMemory, "memory: expected what the answer needs, got less. Try again later"}));
  } catch (const std::exception& error) {  // our own bugs: the service goes on
    fail(ApiError(Error{ErrorCode::kInternal, std::string("the answer failed: ") + error.what()}));
  }
  observer_->on_told();
}

Result<void> AnswerJob::run_choices() {
  if (stop_.stop_requested()) return Unexpected(kStopped);
  for (size_t prompt = 0; prompt < request_.prompts.size(); ++prompt) {
    AnswerUsage usage;
    for (int choice = 0; choice < request_.choices; ++choice) {
      DG_TRY_ASSIGN(Session session, pool_.take(request_.prompts[prompt]));
      const auto made = run_choice(static_cast<int>(prompt) * request_.choices + choice, choice, session);
      pool_.give_back(std::move(session));
      if (!made) return Unexpected(made.error());
      usage.add_choice(*made);
    }
    total_.add_prompt(usage);
  }
  observer_->on_done();
  sink_->done(total_);
  return {};
}

/// `index`: among all choices. The seed depends on which choice of its prompt it is alone, so that a prompt among
/// others gets the text that it gets by itself.
Result<AnswerUsage> AnswerJob::run_choice(int index, int choice, Session& session) {
  std::stop_source enough;  // of this choice; a stop of the job is one too
  const std::stop_callback on_stop(stop_.get_token(), [&enough] { enough.request_stop(); });
  GenerateOptions options = request_.generate;
  options.stop = enough.get_token();
  if (options.seed) *options.seed += static_cast<uint64_t>(choice);
  EndKeeper keeper(*sink_);
  AnswerAssembler assembler(request_, *engine_.tokenizer(), index, keeper, [&enough] { enough.request_stop(); });
  bool begun = false;
  const auto generate = [&] {
    return session.generate(options, [&](const Event& event) {
      begun = true;
      observer_->on_event(event);
      assembler.on_event(event);
    });
  };
  auto answer = generate();
  // Conversations that are kept for later have to make room for one that is asked now.
  if (!answer && !begun && answer.error().code == ErrorCode::kOutOfMemory && pool_.clear()) answer = generate();
  if (!answer) return Unexpected(answer.error());
  if (keeper.end.reason == EndReason::kCancelled) return Unexpected(kStopped);
  keeper.end.usage.queue_s = total_.queue_s;
  observer_->on_end(keeper.end);
  sink_->ended(index, keeper.end);
  return keeper.end.usage;
}

}  // namespace dgemma::server
