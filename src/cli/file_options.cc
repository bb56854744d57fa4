// The options of the commands that neither answer nor measure: inspect, quantize, info, tokenize and render.
//
// They say what is in a file, write another one, or turn text and tokens and messages into each other.
// Test: tests/cli/arguments_test.cc.
#include "cli/command_options.h"

#include <memory>
#include <utility>

namespace dgemma::cli {
namespace {

Result<Invocation> check_inspect(InspectArguments& arguments, const Environment& environment) {
  DG_TRY(need_model(arguments.model, environment));
  return Invocation(std::move(arguments));
}

Result<Invocation> check_quantize(QuantizeArguments& arguments, const Environment& environment) {
  if (arguments.quantize.output_path.empty()) return conflict("--output", "a file to write", "none. Give -o FILE");
  if (arguments.quantize.output_path == "-")
    return conflict("--output", "a file to write, which is mapped where it is used", "-, standard output");
  DG_TRY(need_model(arguments.quantize.model_path, environment));
  return Invocation(std::move(arguments));
}

struct TokenizeGiven {
  TokenizeArguments arguments;
  std::string tokenizer;  ///< --tokenizer
};

Result<Invocation> check_tokenize(TokenizeGiven& given, const Environment& environment) {
  TokenizeArguments& arguments = given.arguments;
  if (!arguments.source.empty() && !given.tokenizer.empty())
    return conflict("--tokenizer", "a model or a tokenizer.json", "both. Leave one out");
  if (!given.tokenizer.empty()) arguments.source = given.tokenizer;
  if (arguments.decode && arguments.plain) return conflict("--plain", "text to encode", "--decode. Leave one out");
  if (arguments.jsonl && arguments.text)
    return conflict("--jsonl", "lines on standard input", "TEXT as well. Leave one out");
  DG_TRY(need_model(arguments.source, environment));
  return Invocation(std::move(arguments));
}

struct RenderGiven {
  RenderArguments arguments;
  std::string template_name;  ///< --template
};

Result<Invocation> check_render(RenderGiven& given, const Environment& environment) {
  if (!given.template_name.empty()) {
    if (!given.arguments.model.empty()) return conflict("--template", "a model or a template", "both. Leave one out");
  } else if (!need_model(given.arguments.model, environment)) {
    return conflict("--template", "a model or a template", "none. Give -m PATH or --template gemma4");
  }
  return Invocation(std::move(given.arguments));
}

}  // namespace

OptionCheck declare_inspect(CLI::App& app) {
  const auto given = std::make_shared<InspectArguments>();
  InspectArguments& arguments = *given;
  OptionTable table(&app);
  add_model(table, arguments.model);
  add_json(table, arguments.json);
  app.footer(
      "Examples:\n"
      "  dgemma inspect -m models/pocket\n"
      "  dgemma inspect -m model.gguf --json\n"
      "\nReads the headers only. Exit status 3 where the model could not be loaded; the report says why.");
  return [given](const Environment& environment) { return check_inspect(*given, environment); };
}

OptionCheck declare_quantize(CLI::App& app) {
  const auto given = std::make_shared<QuantizeArguments>();
  QuantizeArguments& arguments = *given;
  OptionTable table(&app);
  add_model(table, arguments.quantize.model_path);
  table.heading("Result");
  table.path("-o,--output", "FILE", "The file to write, whole or not at all", arguments.quantize.output_path);
  table.value(
      "--bits", "N",
      "Bits of a weight: 8, or 4 for all but the token table; default: 4 for what is Q4_0 in the file, 8 for the rest",
      "4 or 8", [&bits = arguments.quantize.bits](const std::string& text) {
        bits = text == "4" ? 4 : text == "8" ? 8 : 0;
        return bits != 0;
      });
  table.flag("--json", "Print one JSON object, for programs", arguments.json);
  add_threads(table, arguments.quantize.threads);
  app.footer(
      "Examples:\n"
      "  dgemma quantize -m model-Q4_0.gguf -o model.packed.gguf\n"
      "  dgemma quantize -m model-bf16 --bits 4 -o model.packed.gguf\n"
      "  dgemma generate -m model.packed.gguf -p \"Hello\"\n"
      "\nThe file is used where it is mapped, so loading costs nothing, and computes with --compute int8, or "
      "bf16 for comparison. Q4_0 and Q8_0 keep every value; other types are rounded to 8 bits, or with --bits 4 to 4. "
      "Only this program reads it, and only this version's layout.");
  return [given](const Environment& environment) { return check_quantize(*given, environment); };
}

OptionCheck declare_info(CLI::App& app) {
  const auto given = std::make_shared<InfoArguments>();
  InfoArguments& arguments = *given;
  OptionTable table(&app);
  add_json(table, arguments.json);
  app.footer("Examples:\n  dgemma info\n  dgemma info --json");
  return [given](const Environment&) { return Result<Invocation>(*given); };
}

OptionCheck declare_tokenize(CLI::App& app) {
  const auto given = std::make_shared<TokenizeGiven>();
  TokenizeArguments& arguments = given->arguments;
  OptionTable table(&app);
  add_model(table, arguments.source);
  table.path("--tokenizer", "FILE", "A tokenizer.json instead of a model", given->tokenizer);
  table.heading("Text");
  table.text("TEXT", "TEXT", "The text, or with --decode the ids; default: standard input, as it is", arguments.text);
  table.flag("--decode", "Ids to text: [2,5,9] or 2,5,9", arguments.decode);
  table.flag("--plain", "Control-token text in the input stays text", arguments.plain);
  table.flag("--jsonl", "Each input line is a JSON string, each output line an array; with --decode the reverse",
             arguments.jsonl);
  app.footer(
      "Examples:\n"
      "  dgemma tokenize -m models/pocket \"Hello\"\n"
      "  dgemma tokenize -m models/pocket --decode 2,5,9\n"
      "  dgemma tokenize --tokenizer tokenizer.json --jsonl < lines.jsonl\n"
      "\nNo bos token is added.");
  return [given](const Environment& environment) { return check_tokenize(*given, environment); };
}

OptionCheck declare_render(CLI::App& app) {
  const auto given = std::make_shared<RenderGiven>();
  OptionTable table(&app);
  add_model(table, given->arguments.model);
  table.value("--template", "NAME", "A built-in chat format instead of a model's: gemma4", "gemma4",
              [&name = given->template_name](const std::string& text) { return name = text, text == "gemma4"; });
  table.heading("Request");
  table.path("FILE", "FILE", "A chat request in OpenAI form as JSON; default: - (standard input)",
             given->arguments.file);
  table.flag("--jsonl", "Each input line is a request, each output line a JSON string", given->arguments.jsonl);
  app.footer(
      "Examples:\n"
      "  dgemma render -m models/pocket request.json\n"
      "  dgemma render --template gemma4 < request.json\n"
      "\nPrints the prompt text exactly, without a newline at its end.");
  return [given](const Environment& environment) { return check_render(*given, environment); };
}

}  // namespace dgemma::cli
