// The options of the commands that answer: generate, chat and serve.
//
// What generate and chat share is declared here (the answer, its display), the rest in command_options.h.
// Test: tests/cli/arguments_test.cc.
#include "cli/command_options.h"

#include <memory>
#include <utility>

#include "base/format.h"
#include "cli/numbers.h"
#include "cli/streams.h"
#include "server/auth.h"

namespace dgemma::cli {
namespace {

constexpr double kSlowestPace = 60;

void add_answer(OptionTable& table, AnswerArguments& answer) {
  table.heading("Answer");
  table.whole("-n,--max-new-tokens",
              "Most tokens of the answer; default: until an end token or until the context is full", 1, kMost,
              answer.generate.max_new_tokens);
  add_seed(table, "Seed of all random numbers, 64 bits; default: a random one, which is printed", answer.generate.seed);
  table.text("--system", "TEXT", "Text of the system turn", answer.system);
  table.flag("--think", "Let the model think before it answers", answer.think);
  add_context(table, answer.session);
  add_sampler(table, answer.generate.sampler);
}

void add_display(OptionTable& table, AnswerArguments& answer) {
  table.heading("Output");
  table.path("--trace", "FILE", "Write what happens on every canvas as JSON lines; - is standard output", answer.trace);
  table.flag_off("--no-live", "Do not draw the canvas on a terminal, print text as it becomes final", answer.live);
  table.value("--pace", "SECONDS", "Show each denoising step for at least this long, to watch a small model (0)",
              "a number from 0 to 60", [&answer](const std::string& text) {
                const auto seconds = parse_real(text, 0, false);
                answer.pace = seconds.value_or(0);
                return seconds && *seconds <= kSlowestPace;
              });
}

Result<Invocation> check_generate(GenerateArguments& arguments, const Environment& environment) {
  const int prompts = arguments.prompt.has_value() + arguments.file.has_value() + arguments.prompt_ids.has_value();
  if (prompts == 0) return conflict("prompt", "one of -p TEXT, -f FILE and --prompt-ids IDS", "none");
  if (prompts > 1)
    return conflict("prompt", "one of -p, -f and --prompt-ids", base::concat(prompts, " of them. Leave one"));
  const bool as_is = arguments.raw || arguments.prompt_ids.has_value();
  if (arguments.raw && arguments.prompt_ids)
    return conflict("--raw", "-p or -f with it", "--prompt-ids. Leave --raw out: ids are taken as they are anyway");
  if (as_is && (!arguments.answer.system.empty() || arguments.answer.think))
    return conflict(arguments.raw ? "--raw" : "--prompt-ids", "a prompt without the chat format",
                    "--system or --think, which are part of it. Leave one out");
  if (is_standard_output(arguments.answer.trace)) arguments.answer.trace = "-";
  if (arguments.answer.trace == "-" && arguments.json)
    return conflict("--trace", "a file when --json is given", "-. Both would go to standard output");
  DG_TRY(need_model(arguments.engine.model_path, environment));
  return Invocation(std::move(arguments));
}

Result<Invocation> check_chat(ChatArguments& arguments, const Environment& environment) {
  if (is_standard_output(arguments.answer.trace))
    return conflict("--trace", "a file", "-. Answers go to standard output");
  DG_TRY(need_model(arguments.engine.model_path, environment));
  return Invocation(std::move(arguments));
}

/// What serve's options say before their units are changed.
struct ServeGiven {
  ServeArguments arguments;
  int cache_mib = 1024;
};

/// What a browser sends as Origin: a scheme and a host, no path, or null (pages that are files). Another text would be
/// compared in vain.
bool is_origin(const std::string& text) {
  if (text == "null") return true;
  const size_t host = text.find("://");
  return host != 0 && host != text.npos && server::is_key(text) && text.find_first_of("/?#", host + 3) == text.npos &&
         host + 3 < text.size();
}

Result<Invocation> check_serve(ServeGiven& given, const Environment& environment) {
  server::ServerOptions& server = given.arguments.server;
  server.cache_bytes = static_cast<uint64_t>(given.cache_mib) << 20;
  if (given.arguments.api_key_file && !server.api_key.empty())
    return conflict("--api-key", "a key or a file with it", "both. Leave one out");
  DG_TRY(need_model(given.arguments.engine.model_path, environment));
  return Invocation(std::move(given.arguments));
}

}  // namespace

OptionCheck declare_generate(CLI::App& app) {
  const auto given = std::make_shared<GenerateArguments>();
  GenerateArguments& arguments = *given;
  OptionTable table(&app);
  add_model(table, arguments.engine.model_path);
  table.heading("Prompt (one of these)");
  table.text("-p,--prompt", "TEXT", "One user message; the model's chat format is applied", arguments.prompt);
  table.path("-f,--file", "FILE", "The same from a file; - is standard input", arguments.file);
  table.ids("--prompt-ids", "Token ids such as 2,5,9; nothing is added", arguments.prompt_ids);
  table.flag("--raw", "Take the text of -p or -f as it is, behind a bos token, without the chat format", arguments.raw);
  add_answer(table, arguments.answer);
  table.heading("Answer");
  table.ids("--canvas-ids", "Begin with this canvas instead of noise; as many ids as a canvas has rows",
            arguments.answer.generate.canvas_ids);
  table.value("--eos-ids", "IDS", "End tokens in place of the checkpoint's, or the word none",
              "token ids such as 1,106, or none", [&arguments](const std::string& text) {
                auto& ids = arguments.answer.generate.eos_ids;
                ids = text == "none" ? std::vector<int32_t>() : parse_ids(text);
                return ids && (text == "none" || !ids->empty());
              });
  add_machine(table, arguments.engine);
  add_display(table, arguments.answer);
  add_json(table, arguments.json);
  app.footer(
      "Examples:\n"
      "  dgemma generate -m models/pocket -p \"What is text diffusion?\"\n"
      "  dgemma generate -m models/pocket -f question.txt --seed 7 --json\n"
      "  dgemma generate -m models/pocket -p \"Who are you?\" --trace run.jsonl\n"
      "\nOn a terminal the canvas is drawn while it comes into focus; then the final text stays.");
  return [given](const Environment& environment) { return check_generate(*given, environment); };
}

OptionCheck declare_chat(CLI::App& app) {
  const auto given = std::make_shared<ChatArguments>();
  ChatArguments& arguments = *given;
  OptionTable table(&app);
  add_model(table, arguments.engine.model_path);
  add_answer(table, arguments.answer);
  add_machine(table, arguments.engine);
  add_display(table, arguments.answer);
  table.flag_off("--no-history", "Neither read nor write the file of earlier input lines", arguments.history);
  app.footer(
      "Examples:\n"
      "  dgemma chat -m models/pocket\n"
      "  dgemma chat -m models/pocket --system \"Answer in one sentence.\" --seed 7\n"
      "  printf 'Hello\\nWho made you?\\n' | dgemma chat -m models/pocket\n"
      "\nInside: /help lists the commands, Ctrl-C stops an answer, Ctrl-D or /exit leaves. Each line is a turn; "
      "a line that ends in \\ goes on in the next one, and \"\"\" begins and ends a text of several lines.");
  return [given](const Environment& environment) { return check_chat(*given, environment); };
}

OptionCheck declare_serve(CLI::App& app) {
  const auto given = std::make_shared<ServeGiven>();
  server::ServerOptions& server = given->arguments.server;
  OptionTable table(&app);
  add_model(table, given->arguments.engine.model_path);
  table.text("--alias", "NAME", "The model's name in the API; default: its file's", server.alias);
  table.heading("Address");
  table.text("--host", "HOST", "Address to listen on (127.0.0.1)", server.host);
  table.whole("--port", "Port to listen on (8080); 0 takes a free one and prints it", 0, 65535, server.port);
  table.path("--api-key-file", "FILE", "File with the key that clients have to give", given->arguments.api_key_file);
  table.value("--api-key", "KEY", "The same as an argument, which other users of this machine can see",
              "visible ASCII characters", [&server](const std::string& key) {
                server.api_key = key;
                return server::is_key(key);
              });
  table.flag("--insecure", "Listen beyond this machine without a key", server.insecure);
  table.value("--cors-origin", "ORIGIN", "Let pages of this origin call (* for all); default: none",
              "* or an origin such as https://host:port", [&server](const std::string& origin) {
                server.cors_origin = origin;
                return origin == "*" || is_origin(origin);
              });
  table.heading("Places and limits");
  table.whole("--parallel", "Answers made at the same time (2)", 1, 64, server.parallel);
  table.whole("--max-queue", "Requests that may wait for a place; further ones get 429 (16)", 0, 10000,
              server.max_queue);
  add_context(table, server.session);
  table.whole("--cache-mib", "MiB of memory for the caches of idle conversations (1024)", 0, kMost, given->cache_mib);
  table.whole("--max-output-tokens", "Most tokens that a request may ask for; default: what the context has room for",
              1, kMost, server.limits.output_tokens);
  table.whole("--max-connections", "Connections at the same time; further ones get 503 (256)", 1, 900,
              server.limits.connections);
  table.whole("--request-seconds", "Seconds that a client may take to send a request (30)", 1, 3600,
              server.limits.request_s);
  table.heading("Records");
  table.path("--trace-dir", "FOLDER", "Write the trace of each answer there, for GET /v1/traces/ID", server.trace_dir);
  table.value("--log-format", "NAME", "text or json, on standard error; what is asked and answered is never logged",
              "text or json", [&server](const std::string& name) {
                server.log_format = name == "json" ? server::LogFormat::kJson : server::LogFormat::kText;
                return name == "json" || name == "text";
              });
  add_machine(table, given->arguments.engine);
  add_sampler(table, server.sampler);
  app.footer(
      "Examples:\n"
      "  dgemma serve -m models/pocket\n"
      "  dgemma serve -m model.gguf --host 0.0.0.0 --api-key-file key.txt --parallel 4\n"
      "\nThe page is at http://127.0.0.1:8080/, the OpenAI API below /v1. TERM or Ctrl-C ends it when the running "
      "answers are done, a second one at once. docs/SERVER.md says what each endpoint takes.");
  return [given](const Environment& environment) { return check_serve(*given, environment); };
}

}  // namespace dgemma::cli
