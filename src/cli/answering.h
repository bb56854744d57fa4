// One answer of a session, shown while it comes: drawn on a terminal, or printed as it becomes final.
//
// What generate and chat share: the display, Ctrl-C, the trace, and the two parts of an answer's text.
// Test: tests/cli/answering_test.cc (texts), tests/cli/program_test.sh.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/program.h"
#include "dgemma/session.h"
#include "dgemma/text.h"
#include "dgemma/trace.h"

namespace dgemma::cli {

/// The two parts of an answer's text, or what was added to each.
struct AnswerParts {
  std::string content;    ///< for the reader, tool calls as the model wrote them
  std::string reasoning;  ///< of the thought channel, without its markers and header
};

/// The text of an answer, growing by canvases, split into its parts.
class AnswerText {
 public:
  /// `tokenizer`: null where the model has none, so that ids are shown. `split`: look for the thought channel.
  AnswerText(const Tokenizer* tokenizer, bool split);
  /// What this canvas adds to each part.
  AnswerParts add(const Committed& committed);
  /// What had to wait for the end of the answer: a character of several tokens, a marker that came in part.
  AnswerParts finish(const Answer& answer);
  const AnswerParts& parts() const { return parts_; }

 private:
  AnswerParts grow(std::string content, std::string reasoning);

  bool has_text_;
  std::optional<AnswerReader> reader_;  // where the parts are split
  AnswerParts parts_;
};

struct AnswerPlan {
  const AnswerArguments* arguments = nullptr;
  std::function<Result<void>(Session&)> sync;  ///< syncs the session to the prompt; Ctrl-C counts from before it
  GenerateOptions options;                     ///< of this answer
  TraceWriter* trace = nullptr;                ///< or null
  bool split = true;                           ///< part the thought channel from the content
  bool print = true;                           ///< false: nothing on standard output
  bool cancel_only = false;                    ///< a second Ctrl-C does no more than the first (chat)
};

struct ShownAnswer {
  Answer answer;
  AnswerParts parts;
};

/// Syncs the session and answers. Errors: those of `plan.sync` and Session::generate.
Result<ShownAnswer> answer_and_show(Session& session, const Engine& engine, const AnswerPlan& plan, Program& program);

/// The summary line on standard error, faint on a terminal.
void print_summary(const Answer& answer, const Environment& environment);

/// --trace FILE opened, or null where none is asked for.
Result<std::optional<TraceWriter>> open_trace(const std::string& path);
/// Whether the trace goes to standard output and its reader has gone. `trace` may be null.
bool trace_is_unread(const AnswerArguments& arguments, const TraceWriter* trace);

}  // namespace dgemma::cli
