// See chat_command.h.
#include "cli/chat_command.h"

#include "base/format.h"
#include "cli/numbers.h"
#include "dgemma/options.h"

namespace dgemma::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Unexpected wrong(std::string_view where, std::string_view expected, std::string_view got) {
  return {ErrorCode::kUsage, base::concat(where, ": expected ", expected, ", got ",
                                          got.empty() ? "nothing" : base::quoted(got), ". /help lists the commands")};
}

Result<ChatInput> parse_seed(std::string_view argument) {
  const auto seed = parse_unsigned(argument);
  if (!seed && argument != "random") return wrong("/seed", "a whole number of 64 bits, or random", argument);
  return ChatInput{ChatAction::kSeed, "", seed};
}

Result<ChatInput> parse_steps(std::string_view argument) {
  if (argument == "default") return ChatInput{ChatAction::kSteps, "", std::nullopt};
  const auto steps = parse_whole(argument, 1, kMostSteps);
  if (!steps) return wrong("/steps", base::concat("a whole number from 1 to ", kMostSteps, ", or default"), argument);
  return ChatInput{ChatAction::kSteps, "", static_cast<uint64_t>(*steps)};
}

/// How a command is spelled and what comes after it.
struct Spelling {
  std::string_view name;
  ChatAction action;
  enum { kNone, kOptional, kNeeded } argument;
};
constexpr Spelling kCommands[] = {
    {"/reset", ChatAction::kReset, Spelling::kNone}, {"/system", ChatAction::kSystem, Spelling::kOptional},
    {"/seed", ChatAction::kSeed, Spelling::kNeeded}, {"/steps", ChatAction::kSteps, Spelling::kNeeded},
    {"/save", ChatAction::kSave, Spelling::kNeeded}, {"/load", ChatAction::kLoad, Spelling::kNeeded},
    {"/help", ChatAction::kHelp, Spelling::kNone},   {"/exit", ChatAction::kExit, Spelling::kNone},
    {"/quit", ChatAction::kExit, Spelling::kNone},
};

Result<ChatInput> parse_command(std::string_view name, std::string_view argument) {
  for (const Spelling& command : kCommands) {
    if (command.name != name) continue;
    if (command.action == ChatAction::kSeed) return parse_seed(argument);
    if (command.action == ChatAction::kSteps) return parse_steps(argument);
    if (command.argument == Spelling::kNone && !argument.empty()) return wrong(name, "nothing after it", argument);
    if (command.argument == Spelling::kNeeded && argument.empty()) return wrong(name, "a file", argument);
    return ChatInput{command.action, std::string(argument), std::nullopt};
  }
  return wrong("command", "/reset, /system, /seed, /steps, /save, /load, /help, /exit or /quit", name);
}

}  // namespace

Result<ChatInput> parse_chat_input(std::string_view input) {
  const std::string_view text = trimmed(input);
  if (text.empty()) return ChatInput{};
  if (text.starts_with("//")) return ChatInput{ChatAction::kText, std::string(text.substr(1)), std::nullopt};
  if (!text.starts_with('/')) return ChatInput{ChatAction::kText, std::string(input), std::nullopt};
  const size_t space = text.find_first_of(" \t\n");
  const std::string_view name = text.substr(0, space);
  return parse_command(name, space == text.npos ? std::string_view() : trimmed(text.substr(space)));
}

std::string_view chat_help() {
  return "  /reset          forget the conversation; the system text stays\n"
         "  /system TEXT    set the system text; without TEXT show it\n"
         "  /seed N         the same seed for every answer; /seed random\n"
         "  /steps N        most denoising steps for one canvas; /steps default\n"
         "  /save FILE      write the conversation as JSON\n"
         "  /load FILE      go on with a saved conversation\n"
         "  /exit           leave; so do /quit and Ctrl-D\n"
         "  //text          a message that begins with /\n"
         "  \\ at the end    goes on in the next line; \"\"\" begins and ends a longer text\n"
         "  Ctrl-C          stops an answer\n";
}

bool InputJoiner::add(std::string_view line) {
  if (!quoted_ && text_.empty() && !continued_ && line.starts_with(kQuotes)) {
    line.remove_prefix(kQuotes.size());
    quoted_ = verbatim_ = true;
    if (line.ends_with(kQuotes)) {  // all on one line
      text_ = line.substr(0, line.size() - kQuotes.size());
      quoted_ = false;
      return true;
    }
    if (!line.empty()) text_ = std::string(line) + "\n";
    return false;
  }
  if (quoted_) {
    quoted_ = !line.ends_with(kQuotes);
    if (!quoted_) line.remove_suffix(kQuotes.size());
    text_ += line;
    if (quoted_) text_ += '\n';
    return !quoted_;
  }
  continued_ = line.ends_with('\\');
  if (continued_) line.remove_suffix(1);
  text_ += line;
  if (continued_) text_ += '\n';
  return !continued_;
}

std::string InputJoiner::take() {
  std::string text = std::move(text_);
  *this = {};
  return text;
}

}  // namespace dgemma::cli
