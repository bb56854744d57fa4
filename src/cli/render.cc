// dgemma render: a chat request to its prompt text (declared in program.h; formats in docs/CLI.md).
#include "base/format.h"
#include "cli/json_lines.h"
#include "cli/json_text.h"
#include "cli/program.h"
#include "cli/terminal_text.h"
#include "dgemma/inspect.h"
#include "dgemma/text.h"

namespace dgemma::cli {
namespace {

/// The one built-in format is Gemma 4's; a model has to have it, as inspect sees it.
Result<void> check_template(const std::string& model) {
  auto file = inspect_model(model);
  if (!file) return Unexpected(as_model_error(file.error()));
  if (file->gemma4_chat) return {};
  if (!file->template_problem.empty()) return Unexpected(ErrorCode::kModelFile, file->template_problem);
  return Unexpected(ErrorCode::kUnsupported,
                    base::concat(model, ": expected a model with the Gemma 4 chat template, got ",
                                 file->chat_template.empty() ? "none" : file->chat_template,
                                 ". Use --template gemma4 to apply it all the same"));
}

Result<void> render_whole(const std::string& path, Output& out) {
  DG_TRY_ASSIGN(const std::string request, read_input(path));
  auto prompt = render_chat(request);
  const std::string where = path == "-" ? "standard input: " : path + ": ";
  if (!prompt) return Unexpected(prompt.error().code, where + prompt.error().message);
  out.write(out.is_terminal() ? safe_for_terminal(*prompt) + "\n" : *prompt);
  return out.result();
}

}  // namespace

int run_render(const RenderArguments& arguments, Program& program) {
  if (!arguments.model.empty()) {
    if (const auto usable = check_template(arguments.model); !usable) return report(usable.error());
  }
  const auto line_result = [](const std::string& line) -> Result<std::string> {
    DG_TRY_ASSIGN(const std::string prompt, render_chat(line));
    return json_line(prompt);
  };
  const auto done = arguments.jsonl ? for_each_line(arguments.file, program.out, line_result)
                                    : render_whole(arguments.file, program.out);
  return done ? 0 : report(done.error());
}

}  // namespace dgemma::cli
