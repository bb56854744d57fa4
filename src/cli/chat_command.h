// What a line typed in chat means: text for the model, or one of the commands that begin with "/".
//
// Pure. A text that has to begin with "/" is typed with two. Test: tests/cli/chat_command_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dgemma/result.h"

namespace dgemma::cli {

enum class ChatAction { kNothing, kText, kReset, kSystem, kSeed, kSteps, kSave, kLoad, kHelp, kExit };

struct ChatInput {
  ChatAction action = ChatAction::kNothing;
  std::string text;                ///< kText: the message; kSystem: the text, "" to show it; kSave, kLoad: the file
  std::optional<uint64_t> number;  ///< kSeed, kSteps; empty: back to random, to the model's own
};

/// Reads one whole input (all lines of a multi-line one). Errors: kUsage.
Result<ChatInput> parse_chat_input(std::string_view input);

/// The page of /help.
std::string_view chat_help();

/// Joins the lines of one input: a line that ends in \ goes on; """ at the beginning of one opens a text that ends at
/// the next """ at a line's end. Feed lines until add() gives true.
class InputJoiner {
 public:
  /// True when the input is complete.
  bool add(std::string_view line);
  /// More lines are needed.
  bool open() const { return quoted_ || continued_; }
  /// Came from """: text, never a command.
  bool verbatim() const { return verbatim_; }
  /// The joined text; the joiner is empty afterwards.
  std::string take();

 private:
  std::string text_;
  bool quoted_ = false;
  bool continued_ = false;
  bool verbatim_ = false;
};

}  // namespace dgemma::cli
