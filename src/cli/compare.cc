// dgemma compare: the distance between two models or precisions (declared in program.h).
// Test: tests/cli/program_test.sh.
#include "dgemma/compare.h"

#include <sstream>

#include "base/format.h"
#include "base/utf8.h"
#include "cli/compare_report.h"
#include "cli/json_text.h"
#include "cli/program.h"
#include "cli/progress_line.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

std::string user_request(const std::string& message) {
  return json_line({{"messages", {{{"role", "user"}, {"content", base::utf8_repair(message)}}}}});
}

/// A line of --jsonl: a user message as a JSON string, or a whole chat request.
Result<std::string> request_of(const std::string& line) {
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_string()) return user_request(json.get<std::string>());
  if (json.is_object()) return line;
  return Unexpected(ErrorCode::kInvalidRequest, "expected a JSON string or a chat request, got " + base::quoted(line));
}

Result<std::vector<std::string>> chat_requests(const CompareArguments& arguments) {
  std::vector<std::string> requests;
  if (arguments.prompt) requests.push_back(user_request(*arguments.prompt));
  if (!arguments.file) return requests;
  DG_TRY_ASSIGN(const std::string text, read_input(*arguments.file));
  std::istringstream lines(text);
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    auto request = arguments.jsonl ? request_of(line) : Result<std::string>(user_request(line));
    if (!request)
      return Unexpected(request.error().code,
                        base::concat(*arguments.file, ": line ", number, ": ", request.error().message));
    requests.push_back(std::move(*request));
  }
  if (requests.empty())
    return Unexpected(ErrorCode::kInvalidRequest, *arguments.file + ": expected prompts, one a line, got none");
  return requests;
}

}  // namespace

int run_compare(const CompareArguments& arguments, Program& program) {
  CompareOptions options = arguments.compare;
  auto requests = chat_requests(arguments);
  if (!requests) return report(requests.error());
  options.chat_requests = std::move(*requests);
  ProgressLine progress;
  options.progress = [&progress](std::string_view what) { progress.show(std::string(what) + " ..."); };
  const auto compared = compare_models(arguments.a, arguments.b, options);
  progress.clear();
  if (!compared) return report(as_model_error(compared.error()));
  program.out.write(arguments.json ? json_line(compare_json(*compared)) : safe_for_terminal(compare_text(*compared)));
  return finish_output(program.out);
}

}  // namespace dgemma::cli
