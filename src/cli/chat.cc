// dgemma chat: turns with a model (declared in program.h).
//
// At a terminal lines are edited and the answer is drawn; with a script on standard input each line is a turn, answers
// go to standard output, and the first failure ends the program. The session keeps its cache from turn to turn; the
// conversation, not the session, is what /save writes.
#include <unistd.h>

#include <memory>

#include "base/format.h"
#include "cli/answering.h"
#include "cli/chat_command.h"
#include "cli/conversation.h"
#include "cli/line_editor.h"
#include "cli/palette.h"
#include "cli/reports.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

/// One whole input: a turn, a command, or why there is none.
struct WholeInput {
  LineEditor::Outcome outcome = LineEditor::Outcome::kEnd;
  std::string text;
  bool verbatim = false;
};

/// Where inputs come from: a person or a script.
class InputSource {
 public:
  InputSource(Signals& signals, const std::string& history_file)
      : editor_(stdin_is_terminal() ? std::make_unique<LineEditor>(signals, history_file) : nullptr),
        reader_(STDIN_FILENO) {}
  bool interactive() const { return editor_ != nullptr; }

  Result<WholeInput> next() {
    InputJoiner joiner;
    while (true) {
      DG_TRY_ASSIGN(const LineEditor::Input input, line(joiner.open() ? "… " : "> "));
      const bool unfinished = input.outcome == LineEditor::Outcome::kEnd && joiner.open();
      if (input.outcome != LineEditor::Outcome::kLine && !unfinished) return WholeInput{input.outcome, "", false};
      if (!unfinished && !joiner.add(input.line)) continue;
      WholeInput whole{LineEditor::Outcome::kLine, "", joiner.verbatim()};
      whole.text = joiner.take();
      if (editor_ && whole.text.find_first_not_of(" \t\n") != whole.text.npos) editor_->remember(whole.text);
      return whole;
    }
  }

 private:
  Result<LineEditor::Input> line(const std::string& prompt) {
    if (editor_) return editor_->read(prompt);
    DG_TRY_ASSIGN(std::optional<std::string> line, reader_.next());
    if (!line) return LineEditor::Input{};
    return LineEditor::Input{LineEditor::Outcome::kLine, std::move(*line)};
  }

  std::unique_ptr<LineEditor> editor_;
  LineReader reader_;
};

class Chat {
 public:
  Chat(const ChatArguments& arguments, Program& program, const Engine& engine, Session session, TraceWriter* trace,
       InputSource& input)
      : arguments_(arguments),
        program_(program),
        engine_(engine),
        session_(std::move(session)),
        trace_(trace),
        input_(input),
        options_(arguments.answer.generate) {
    conversation_.system = arguments.answer.system;
    conversation_.think = arguments.answer.think;
  }

  /// Turns until the end of input, /exit, or in a script a failure; gives the exit status.
  int run() {
    if (input_.interactive()) note("/help lists the commands, Ctrl-D leaves");
    while (!left_) {
      auto input = input_.next();
      if (!input) return report(input.error());
      if (input->outcome == LineEditor::Outcome::kInterrupted) {
        note("/exit or Ctrl-D leaves");
        continue;
      }
      if (input->outcome == LineEditor::Outcome::kEnd) {
        if (input_.interactive()) write_stderr("\n");
        break;
      }
      const auto done = take(*input);
      if (program_.out.failed()) break;
      if (!done && !input_.interactive()) return report(done.error());
      if (!done) write_stderr(error_text(done.error()) + "\n");
      if (stopped_ && !input_.interactive()) return exit_status(ErrorCode::kCancelled);
    }
    return finish_output(program_.out);
  }

 private:
  Result<void> take(const WholeInput& input) {
    if (input.verbatim) return turn(input.text);
    DG_TRY_ASSIGN(const ChatInput meaning, parse_chat_input(input.text));
    switch (meaning.action) {
      case ChatAction::kNothing:
        return {};
      case ChatAction::kText:
        return turn(meaning.text);
      case ChatAction::kReset:
        return reset();
      case ChatAction::kSystem:
        return set_system(meaning.text);
      case ChatAction::kSeed:
        return set_seed(meaning.number);
      case ChatAction::kSteps:
        return set_steps(meaning.number);
      case ChatAction::kSave:
        return save(meaning.text);
      case ChatAction::kLoad:
        return load(meaning.text);
      case ChatAction::kHelp:
        return write_stderr(std::string(chat_help())), Result<void>();
      case ChatAction::kExit:
        return left_ = true, Result<void>();
    }
    return {};
  }

  Result<void> reset() {
    conversation_.messages.clear();
    note("the conversation is empty again");
    return {};
  }
  Result<void> set_system(const std::string& text) {
    if (!text.empty()) conversation_.system = text;
    note(conversation_.system.empty() ? "no system text" : "system: " + conversation_.system);
    return {};
  }
  Result<void> set_seed(std::optional<uint64_t> seed) {
    options_.seed = seed;
    note(seed ? "seed " + std::to_string(*seed) + " for every answer" : "a random seed for each answer");
    return {};
  }
  Result<void> set_steps(std::optional<uint64_t> steps) {
    auto& most = options_.sampler.max_denoising_steps;
    most = arguments_.answer.generate.sampler.max_denoising_steps;
    if (steps) most = static_cast<int>(*steps);
    note(steps ? "at most " + counted(*most, "step", "steps") + " a canvas" : "the default steps");
    return {};
  }
  Result<void> save(const std::string& path) {
    if (conversation_.messages.empty())
      return Unexpected(ErrorCode::kUsage,
                        "/save: expected something said before, got nothing. " + path + " stays as it is");
    DG_TRY(conversation_.save(path));
    note("saved " + message_count() + " to " + path);
    return {};
  }
  Result<void> load(const std::string& path) {
    DG_TRY_ASSIGN(conversation_, Conversation::load(path));
    note("loaded " + message_count() + " from " + path);
    return {};
  }

  /// A failed turn leaves the conversation as it was, and so does one that was stopped before anything was final; a
  /// later stop keeps the answer as far as it came.
  Result<void> turn(const std::string& text) {
    conversation_.add(ChatRole::kUser, text);
    auto shown = answer();
    if (!shown) {
      conversation_.messages.pop_back();
      return Unexpected(shown.error());
    }
    stopped_ = shown->answer.summary.reason == FinishReason::kCancelled;
    print_summary(shown->answer, program_.environment);
    if (stopped_ && shown->parts.content.empty()) {
      conversation_.messages.pop_back();
      note("nothing of this turn is kept");
      return {};
    }
    conversation_.add(ChatRole::kAssistant, shown->parts.content, shown->parts.reasoning);
    return {};
  }

  Result<ShownAnswer> answer() {
    AnswerPlan plan;
    plan.arguments = &arguments_.answer;
    plan.sync = [this](Session& session) { return session.sync_chat(conversation_.request()); };
    plan.options = options_;
    plan.trace = trace_;
    plan.cancel_only = input_.interactive();
    return answer_and_show(session_, engine_, plan, program_);
  }

  std::string message_count() const {
    return counted(static_cast<long long>(conversation_.messages.size()), "message", "messages");
  }
  /// A remark of the program, not of the model.
  void note(const std::string& text) const {
    const Palette palette(stderr_is_terminal() ? program_.environment.colors : ColorDepth::kNone);
    write_stderr(palette.begin(TokenState::kFaint) + safe_for_terminal(text) + palette.end() + "\n");
  }

  const ChatArguments& arguments_;
  Program& program_;
  const Engine& engine_;
  Session session_;
  TraceWriter* trace_;
  InputSource& input_;
  GenerateOptions options_;
  Conversation conversation_;
  bool left_ = false;
  bool stopped_ = false;
};

Result<int> chat(const ChatArguments& arguments, TraceWriter* trace, Program& program) {
  EngineOptions options = arguments.engine;
  options.chat = true;
  DG_TRY_ASSIGN(const Engine engine, open_model(std::move(options)));
  DG_TRY_ASSIGN(Session session, engine.new_session(arguments.answer.session));
  const std::string& state = program.environment.state_dir;
  InputSource input(program.signals, arguments.history && !state.empty() ? state + "/chat_history" : "");
  return Chat(arguments, program, engine, std::move(session), trace, input).run();
}

}  // namespace

int run_chat(const ChatArguments& arguments, Program& program) {
  auto trace = open_trace(arguments.answer.trace);
  if (!trace) return report(trace.error());
  TraceWriter* writer = trace->has_value() ? &**trace : nullptr;
  const auto status = chat(arguments, writer, program);
  if (!status) return report(status.error());
  if (writer != nullptr) {
    if (const auto written = writer->finish(); !written) return report(written.error());
  }
  return *status;
}

}  // namespace dgemma::cli
