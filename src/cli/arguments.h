// The command line as data: one struct a command, filled and checked before anything else happens.
//
// Pure: argument strings and the environment in, structs or an error out; nothing is opened, printed or computed. What
// several commands share (model, machine, sampler, answer) is declared once. CLI11 does the splitting and the help
// pages; values are read by numbers.h, so that every error has the same form. The contract is docs/CLI.md.
// Test: tests/cli/arguments_test.cc.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/environment.h"
#include "dgemma/bench.h"
#include "dgemma/compare.h"
#include "dgemma/options.h"
#include "dgemma/quantize.h"
#include "dgemma/result.h"
#include "server/options.h"

namespace dgemma::cli {

/// What generate and chat have in common.
struct AnswerArguments {
  GenerateOptions generate;
  SessionOptions session;
  std::string system;  ///< text of the system turn, "" for none
  bool think = false;
  std::string trace;  ///< file, "-" for standard output, "" for none
  bool live = true;   ///< draw the canvas where the terminal allows
  double pace = 0;    ///< seconds that each step stays visible at least
};

struct GenerateArguments {
  EngineOptions engine;
  AnswerArguments answer;
  std::optional<std::string> prompt;  ///< exactly one of prompt, file and prompt_ids is set
  std::optional<std::string> file;    ///< "-": standard input
  std::optional<std::vector<int32_t>> prompt_ids;
  bool raw = false;
  bool json = false;
};

struct ChatArguments {
  EngineOptions engine;
  AnswerArguments answer;
  bool history = true;
};

struct ServeArguments {
  EngineOptions engine;
  server::ServerOptions server;
  std::optional<std::string> api_key_file;
};

/// bench and compare: settings by name, several of each. Empty: the default.
struct SettingLists {
  std::vector<std::string> kernels;
  std::vector<std::string> compute;
};

struct BenchArguments {
  EngineOptions engine;   ///< kernels and compute come from `settings`
  SettingLists settings;  ///< "all" stands for every one of this machine
  BenchOptions bench;
  bool json = false;
};

struct CompareArguments {
  EngineOptions a, b;
  CompareOptions compare;             ///< prompt_ids filled, texts not
  std::optional<std::string> prompt;  ///< at most one of prompt, file and compare.prompt_ids is set
  std::optional<std::string> file;    ///< a prompt a line; "-": standard input
  bool jsonl = false;
  bool json = false;
};

struct InspectArguments {
  std::string model;
  bool json = false;
};

struct QuantizeArguments {
  QuantizeOptions quantize;
  bool json = false;
};

struct InfoArguments {
  bool json = false;
};

struct TokenizeArguments {
  std::string source;               ///< a model, or a tokenizer.json
  std::optional<std::string> text;  ///< empty: standard input
  bool jsonl = false;
  bool decode = false;
  bool plain = false;
};

struct RenderArguments {
  std::string model;       ///< "" where the template is named
  std::string file = "-";  ///< "-": standard input
  bool jsonl = false;
};

/// --help and --version: text for standard output.
struct ShowText {
  std::string text;
};

using Invocation =
    std::variant<ShowText, GenerateArguments, ChatArguments, ServeArguments, BenchArguments, CompareArguments,
                 InspectArguments, QuantizeArguments, InfoArguments, TokenizeArguments, RenderArguments>;

/// Reads the arguments after the program's name. Errors: kUsage.
Result<Invocation> parse_arguments(const std::vector<std::string>& arguments, const Environment& environment);

}  // namespace dgemma::cli
