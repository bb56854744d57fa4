// dgemma tokenize: text to ids and back (declared in program.h; formats in docs/CLI.md).

#include "base/format.h"
#include "base/utf8.h"
#include "cli/json_lines.h"
#include "cli/json_text.h"
#include "cli/numbers.h"
#include "cli/program.h"
#include "cli/terminal_text.h"
#include "dgemma/text.h"

namespace dgemma::cli {
namespace {

std::string ids_line(const Tokenizer& tokenizer, std::string_view text, bool plain) {
  return json_line(plain ? tokenizer.encode_plain(text) : tokenizer.encode(text));
}

Unexpected expected_ids(const std::string& got) {
  return {ErrorCode::kInvalidRequest, "expected an array of token ids such as [2,5,9], got " + base::quoted(got)};
}

Result<std::string> decoded(const Tokenizer& tokenizer, const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const size_t last = text.find_last_not_of(" \t\r\n");
  const auto ids = parse_ids(first == text.npos ? "" : std::string_view(text).substr(first, last - first + 1));
  if (!ids) return expected_ids(text);
  return tokenizer.decode(*ids, /*keep_control=*/true);
}

/// One line of --jsonl: a JSON string to an array, or the reverse.
Result<std::string> line_result(const Tokenizer& tokenizer, const TokenizeArguments& arguments,
                                const std::string& line) {
  if (arguments.decode) {
    DG_TRY_ASSIGN(const std::string text, decoded(tokenizer, line));
    return json_line(text);
  }
  const Json json = Json::parse(base::utf8_repair(line), nullptr, false);
  if (!json.is_string())
    return Unexpected(ErrorCode::kInvalidRequest, "expected a JSON string, got " + base::quoted(line));
  return ids_line(tokenizer, *json.get_ptr<const std::string*>(), arguments.plain);
}

Result<void> tokenize_whole(const Tokenizer& tokenizer, const TokenizeArguments& arguments, Output& out) {
  std::string text;
  if (arguments.text && *arguments.text != "-") {
    text = *arguments.text;
  } else {
    DG_TRY_ASSIGN(text, read_input("-"));
  }
  if (!arguments.decode) return out.write(ids_line(tokenizer, text, arguments.plain)), out.result();
  auto result = decoded(tokenizer, text);
  if (!result) return Unexpected(result.error().code, "ids: " + result.error().message);
  out.write(out.is_terminal() ? safe_for_terminal(*result) + "\n" : *result);
  return out.result();
}

}  // namespace

int run_tokenize(const TokenizeArguments& arguments, Program& program) {
  const auto tokenizer = Tokenizer::open(arguments.source);
  if (!tokenizer) return report(as_model_error(tokenizer.error()));
  const auto done =
      arguments.jsonl ? for_each_line("-", program.out,
                                      [&](const std::string& line) { return line_result(*tokenizer, arguments, line); })
                      : tokenize_whole(*tokenizer, arguments, program.out);
  return done ? 0 : report(done.error());
}

}  // namespace dgemma::cli
