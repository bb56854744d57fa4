// See answering.h.
#include "cli/answering.h"

#include <unistd.h>

#include <limits>
#include <memory>
#include <utility>

#include "base/format.h"
#include "cli/live_display.h"
#include "cli/reports.h"
#include "cli/terminal.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

/// Prints text as it becomes final: the content as the result, the thought channel beside it.
class PlainDisplay {
 public:
  explicit PlainDisplay(Output& out, const Palette& palette) : out_(out), palette_(palette) {}

  void commit(const AnswerParts& added) {
    if (!added.reasoning.empty()) {
      write_stderr(palette_.begin(TokenState::kReasoning) + safe_for_terminal(added.reasoning) + palette_.end());
      thinking_ = true;
    }
    if (added.content.empty()) return;
    if (thinking_) write_stderr("\n");
    thinking_ = false;
    out_.write(out_.is_terminal() ? safe_for_terminal(added.content) : added.content);
    ends_line_ = added.content.ends_with('\n');
  }
  void finish() {
    if (thinking_) write_stderr("\n");
    if (!ends_line_) out_.write("\n");
  }

 private:
  Output& out_;
  Palette palette_;
  bool thinking_ = false;
  bool ends_line_ = false;
};

/// The event receiver of one answer.
class Show {
 public:
  Show(const Engine& engine, const AnswerPlan& plan, Program& program)
      : plan_(plan), program_(program), text_(engine.tokenizer(), plan.split) {
    const Environment& environment = program.environment;
    if (!plan.print) return;
    if (plan.arguments->live && environment.redraw && program.out.is_terminal()) {
      live_ = std::make_unique<LiveDisplay>(program.out, CanvasView(token_texts(engine), environment.colors),
                                            plan.arguments->pace);
      program.signals.set_drawing(live_.get());
    } else {
      const bool colors = environment.redraw && stderr_is_terminal();
      plain_ = std::make_unique<PlainDisplay>(program.out, Palette(colors ? environment.colors : ColorDepth::kNone));
    }
  }
  ~Show() { program_.signals.set_drawing(nullptr); }
  Show(const Show&) = delete;
  Show& operator=(const Show&) = delete;

  void on_event(const Event& event) {
    if (plan_.trace != nullptr) plan_.trace->on_event(event);
    std::visit([this](const auto& e) { on(e); }, event);
    if (program_.out.failed() || trace_is_unread(*plan_.arguments, plan_.trace))
      stop_.request_stop();  // nobody can see the rest
  }
  /// The answer is whole: what its text held back comes out.
  void complete(const Answer& answer) {
    const AnswerParts rest = text_.finish(answer);
    if (live_) live_->commit(rest.content, rest.reasoning, false);
    if (plain_) plain_->commit(rest);
  }
  /// An answer that was interrupted leaves the draft of its last canvas on the terminal.
  void finish(bool interrupted) {
    if (live_) live_->finish(interrupted);
    if (plain_) plain_->finish();
  }
  void interrupt() {
    stop_.request_stop();
    if (live_) live_->hurry();
  }
  std::stop_token stop() const { return stop_.get_token(); }
  const AnswerParts& parts() const { return text_.parts(); }

 private:
  static TokenTexts token_texts(const Engine& engine) {
    const Tokenizer* tokenizer = engine.tokenizer();
    if (tokenizer == nullptr) return {[](int32_t id) { return std::to_string(id) + " "; }, {}};
    return {[tokenizer](int32_t id) { return tokenizer->piece(id); },
            [tokenizer](std::span<const int32_t> ids) { return tokenizer->decode(ids, false).value_or(""); }};
  }
  void on(const Started& started) {
    if (live_) live_->start(started);
  }
  void on(const CanvasStarted& canvas) {
    if (live_) live_->noise(canvas);
  }
  void on(const CanvasDraft& draft) {
    if (live_) live_->draft(draft);
  }
  void on(const Committed& committed) {
    const AnswerParts added = text_.add(committed);
    if (live_) live_->commit(added.content, added.reasoning);
    if (plain_) plain_->commit(added);
  }
  void on(const Finished&) {}

  const AnswerPlan& plan_;
  Program& program_;
  std::stop_source stop_;
  AnswerText text_;
  std::unique_ptr<LiveDisplay> live_;
  std::unique_ptr<PlainDisplay> plain_;
};

std::string ids_text(std::span<const int32_t> ids, bool goes_on) {
  std::string text;
  for (const int32_t id : ids) {
    if (!text.empty() || goes_on) text += ',';
    text += std::to_string(id);
  }
  return text;
}

}  // namespace

AnswerText::AnswerText(const Tokenizer* tokenizer, bool split) : has_text_(tokenizer != nullptr) {
  if (has_text_ && split) reader_.emplace(*tokenizer, AnswerReader::Form::kWrittenCalls);
}

AnswerParts AnswerText::add(const Committed& committed) {
  if (!has_text_) return grow(ids_text(committed.tokens, !parts_.content.empty()), "");
  if (!reader_) return grow(std::string(committed.text), "");
  AnswerDelta added = reader_->push(committed.tokens);
  return grow(std::move(added.content), std::move(added.reasoning));
}

AnswerParts AnswerText::finish(const Answer& answer) {
  if (!has_text_) return {};
  if (!reader_) return grow(answer.text.substr(parts_.content.size()), "");
  AnswerDelta rest = reader_->finish();
  return grow(std::move(rest.content), std::move(rest.reasoning));
}

AnswerParts AnswerText::grow(std::string content, std::string reasoning) {
  parts_.content += content;
  parts_.reasoning += reasoning;
  return {std::move(content), std::move(reasoning)};
}

Result<ShownAnswer> answer_and_show(Session& session, const Engine& engine, const AnswerPlan& plan, Program& program) {
  Show show(engine, plan, program);
  bool interrupted = false;  // used on the signal thread only
  const InterruptScope scope(program.signals, [&] {
    if (interrupted && !plan.cancel_only) {
      program.signals.set_drawing(nullptr);
      show.finish(true);
      ::_exit(exit_status(ErrorCode::kCancelled));
    }
    interrupted = true;
    show.interrupt();
  });
  DG_TRY(plan.sync(session));
  GenerateOptions options = plan.options;
  options.stop = show.stop();
  auto answer = session.generate(options, [&show](const Event& event) { show.on_event(event); });
  program.signals.set_drawing(nullptr);
  if (!answer) return Unexpected(answer.error());
  show.complete(*answer);
  show.finish(answer->summary.reason == FinishReason::kCancelled);
  return ShownAnswer{std::move(*answer), show.parts()};
}

void print_summary(const Answer& answer, const Environment& environment) {
  const bool terminal = stderr_is_terminal();
  const Palette palette(environment.redraw && terminal ? environment.colors : ColorDepth::kNone);
  const int width = terminal ? terminal_size(STDERR_FILENO).width : std::numeric_limits<int>::max();
  write_stderr(palette.begin(TokenState::kFaint) + answer_summary(answer, width) + palette.end() + "\n");
}

bool trace_is_unread(const AnswerArguments& arguments, const TraceWriter* trace) {
  return trace != nullptr && arguments.trace == "-" && trace->reader_gone();
}

Result<std::optional<TraceWriter>> open_trace(const std::string& path) {
  if (path.empty()) return std::optional<TraceWriter>();
  DG_TRY_ASSIGN(TraceWriter writer, TraceWriter::open(path));
  return std::optional<TraceWriter>(std::move(writer));
}

}  // namespace dgemma::cli
