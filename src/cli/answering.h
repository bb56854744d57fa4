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

/// The text of an answer, growing by canvases, split into what the reader gets and the thought channel.
class AnswerText {
 public:
  /// `split`: look for the thought channel. `has_text`: false where the model has no tokenizer, so that ids are shown.
  AnswerText(bool split, bool has_text) : split_(split), has_text_(has_text) {}
  /// What this canvas adds to each part.
  AnswerParts add(const Committed& committed);
  const AnswerParts& parts() const { return parts_; }

 private:
  bool split_;
  bool has_text_;
  std::string raw_;
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
