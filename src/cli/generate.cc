// dgemma generate: one prompt, one answer (declared in program.h).
//
// What can be known before the model is loaded is checked before: the prompt, the trace file.
#include "base/format.h"
#include "cli/answering.h"
#include "cli/conversation.h"
#include "cli/program.h"
#include "cli/reports.h"

namespace dgemma::cli {
namespace {

/// The prompt's text; "" with --prompt-ids.
Result<std::string> prompt_text(const GenerateArguments& arguments) {
  if (arguments.prompt) return *arguments.prompt;
  if (arguments.file) return read_input(*arguments.file);
  return std::string();
}

Result<void> sync_raw(Session& session, const Engine& engine, const std::string& text) {
  const Tokenizer* tokenizer = engine.tokenizer();
  if (tokenizer == nullptr)
    return Unexpected(ErrorCode::kUnsupported,
                      "--raw: expected a model with a tokenizer, got one without. Use --prompt-ids");
  std::vector<int32_t> ids = tokenizer->encode(text);
  const int32_t bos = tokenizer->bos_id();
  if (bos >= 0 && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);  // rendered text begins with it
  return session.sync_tokens(ids);
}

Result<void> sync(Session& session, const Engine& engine, const GenerateArguments& arguments, const std::string& text) {
  if (arguments.prompt_ids) return session.sync_tokens(*arguments.prompt_ids);
  if (arguments.raw) return sync_raw(session, engine, text);
  Conversation conversation{arguments.answer.system, arguments.answer.think, {}};
  conversation.add(ChatRole::kUser, text);
  return session.sync_chat(conversation.request());
}

struct Outcome {
  ShownAnswer shown;
  double load_s = 0;
};

Result<Outcome> run(const GenerateArguments& arguments, const std::string& text, TraceWriter* trace, Program& program) {
  const bool chat = !arguments.raw && !arguments.prompt_ids;
  EngineOptions options = arguments.engine;
  options.chat = chat;
  DG_TRY_ASSIGN(const Engine engine, open_model(std::move(options)));
  DG_TRY_ASSIGN(Session session, engine.new_session(arguments.answer.session));
  AnswerPlan plan;
  plan.arguments = &arguments.answer;
  plan.sync = [&](Session& s) { return sync(s, engine, arguments, text); };
  plan.options = arguments.answer.generate;
  plan.trace = trace;
  plan.split = chat;
  plan.print = !arguments.json && arguments.answer.trace != "-";
  DG_TRY_ASSIGN(ShownAnswer shown, answer_and_show(session, engine, plan, program));
  return Outcome{std::move(shown), engine.info().load_s};
}

/// Everything after the answer; a failure here does not take back what was printed.
int conclude(const GenerateArguments& arguments, const Outcome& outcome, TraceWriter* trace, Program& program) {
  const Answer& answer = outcome.shown.answer;
  const AnswerParts& parts = outcome.shown.parts;
  if (arguments.json)
    program.out.write(json_line(answer_json(answer, parts.content, parts.reasoning, outcome.load_s)));
  else
    print_summary(answer, program.environment);
  int status = finish_output(program.out);
  if (trace != nullptr) {
    if (const auto written = trace->finish(); !written) status = report(written.error());
  }
  const bool unread = program.out.reader_gone() || trace_is_unread(arguments.answer, trace);
  if (status == 0 && answer.summary.reason == FinishReason::kCancelled && !unread)
    status = exit_status(ErrorCode::kCancelled);
  return status;
}

}  // namespace

int run_generate(const GenerateArguments& arguments, Program& program) {
  const auto text = prompt_text(arguments);
  if (!text) return report(text.error());
  auto trace = open_trace(arguments.answer.trace);
  if (!trace) return report(trace.error());
  TraceWriter* writer = trace->has_value() ? &**trace : nullptr;
  const auto outcome = run(arguments, *text, writer, program);
  if (!outcome) return report(outcome.error());
  return conclude(arguments, *outcome, writer, program);
}

}  // namespace dgemma::cli
