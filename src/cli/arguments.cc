// See arguments.h.
#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <limits>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "cli/help_page.h"
#include "cli/numbers.h"
#include "cli/option_table.h"
#include "cli/streams.h"
#include "server/auth.h"

namespace dgemma::cli {
namespace {

constexpr int kMost = std::numeric_limits<int>::max();
constexpr double kSlowestPace = 60;
constexpr size_t kMostNames = 16;  // in a list of kernels

// What several commands share ------------------------------------------------------------------------------------

void add_model(OptionTable& table, std::string& path) {
  table.heading("Model");
  table.path("-m,--model", "PATH",
             "A folder in Hugging Face layout, a .safetensors file or a .gguf file; default: $DGEMMA_MODEL", path);
}

void add_threads(OptionTable& table, int& threads) {
  table.heading("Machine");
  table.whole("-t,--threads", "Number of threads; default: the physical cores that this process may use", 1,
              kMostThreads, threads);
}

bool is_compute(const std::string& name) {
  return name == "auto" || std::find(kComputeNames.begin(), kComputeNames.end(), name) != kComputeNames.end();
}

void add_machine(OptionTable& table, EngineOptions& engine) {
  add_threads(table, engine.threads);
  table.text("--kernels", "NAME",
             "Instruction set: scalar, avx2, avx512, amx, ...; default: the best of this machine (see dgemma info)",
             engine.kernels);
  table.value("--compute", "NAME",
              "Arithmetic of products with weights: f32 (the reference's, to compare with), bf16 or int8; default: "
              "auto, which is int8",
              "f32, bf16, int8 or auto", [&engine](const std::string& name) {
                engine.compute = name;
                return is_compute(name);
              });
}

/// Names separated by commas, none twice, none empty.
bool read_names(const std::string& text, std::vector<std::string>& names) {
  names.clear();
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(',', first), text.size());
    const std::string name = text.substr(first, end - first);
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) return false;
    names.push_back(name);
    first = end + 1;
  }
  return true;
}

/// --kernels and --compute as lists of at most `most` names. `what`: of what they are the settings.
void add_settings(OptionTable& table, SettingLists& settings, const std::string& what, size_t most) {
  const std::string number = most == 2 ? "one name, for both sides, or two different ones" : "different names";
  table.value("--kernels", "NAMES",
              "Instruction sets" + what + ": scalar, avx2, avx512, amx, ...; default: the best of this machine",
              number + ", separated by commas", [&settings, most](const std::string& text) {
                return read_names(text, settings.kernels) && settings.kernels.size() <= most;
              });
  table.value("--compute", "NAMES", "Arithmetic" + what + ": f32, bf16, int8 or auto (int8)",
              number + " of f32, bf16, int8 and auto, separated by commas", [&settings, most](const std::string& text) {
                return read_names(text, settings.compute) && settings.compute.size() <= most &&
                       (text == "all" || std::all_of(settings.compute.begin(), settings.compute.end(), is_compute));
              });
}

void add_context(OptionTable& table, SessionOptions& session) {
  table.whole("-c,--context",
              "Tokens that the KV cache may hold; default: what the request needs, at most what the model has", 1,
              kMost, session.context);
}

void add_sampler(OptionTable& table, SamplerOptions& sampler) {
  table.heading("Sampler (default: the checkpoint's values, then the published ones)");
  table.whole("--max-denoising-steps", "Most steps for one canvas (published: 48)", 1, kMostSteps,
              sampler.max_denoising_steps);
  table.real("--t-min", "X", "Temperature that it falls towards, evenly over the steps (0.4)", 0, false, sampler.t_min);
  table.real("--t-max", "X", "Temperature of the first step (0.8)", kLeastTemperature, false, sampler.t_max);
  table.real("--entropy-bound", "NATS", "Accept a step's surest rows until their entropies sum to this (0.1)", 0, false,
             sampler.entropy_bound);
  table.whole("--stability-threshold", "Steps without a change before a canvas may end (1)", 0, kMostSteps,
              sampler.stability_threshold);
  table.real("--confidence-threshold", "NATS", "Mean entropy of the rows below which a canvas may end (0.005)", 0,
             false, sampler.confidence_threshold);
}

/// Seed: uint64_t, or an optional one.
template <class Seed>
void add_seed(OptionTable& table, const std::string& help, Seed& seed) {
  table.value("-s,--seed", "N", help, "a whole number from 0 to 18446744073709551615",
              [&seed](const std::string& text) {
                const auto given = parse_unsigned(text);
                if (given) seed = *given;
                return given.has_value();
              });
}

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

void add_json(OptionTable& table, bool& json) {
  table.heading("Output");
  table.flag("--json", "Print one JSON object, for programs", json);
}

Result<void> need_model(std::string& path, const Environment& environment) {
  if (path.empty()) path = environment.model;
  if (!path.empty()) return {};
  return Unexpected(ErrorCode::kUsage,
                    "--model: expected a model, got none. Give -m PATH or set the environment variable DGEMMA_MODEL");
}

Unexpected conflict(const std::string& where, const std::string& expected, const std::string& got) {
  return {ErrorCode::kUsage, base::concat(where, ": expected ", expected, ", got ", got)};
}

// The commands ----------------------------------------------------------------------------------------------------
// Each has declare (its options) and check (what options say together).

/// What compare's options say before A and B are made of it.
struct CompareExtras {
  std::string model, first, second;
  EngineOptions machine;
  SettingLists settings;
  std::optional<std::vector<int32_t>> prompt_ids;
  std::optional<int> random, random_tokens;
};

struct Parsed {
  GenerateArguments generate;
  ChatArguments chat;
  ServeArguments serve;
  int cache_mib = 1024;  ///< serve --cache-mib
  BenchArguments bench;
  CompareArguments compare;
  CompareExtras compare_extras;
  InspectArguments inspect;
  QuantizeArguments quantize;
  InfoArguments info;
  TokenizeArguments tokenize;
  std::string tokenizer;  ///< tokenize --tokenizer
  RenderArguments render;
  std::string template_name;  ///< render --template
};

void declare_generate(CLI::App& app, GenerateArguments& arguments) {
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

void declare_chat(CLI::App& app, ChatArguments& arguments) {
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
}

Result<Invocation> check_chat(ChatArguments& arguments, const Environment& environment) {
  if (is_standard_output(arguments.answer.trace))
    return conflict("--trace", "a file", "-. Answers go to standard output");
  DG_TRY(need_model(arguments.engine.model_path, environment));
  return Invocation(std::move(arguments));
}

/// What a browser sends as Origin: a scheme and a host, no path, or null (pages that are files). Another text would be
/// compared in vain.
bool is_origin(const std::string& text) {
  if (text == "null") return true;
  const size_t host = text.find("://");
  return host != 0 && host != text.npos && server::is_key(text) && text.find_first_of("/?#", host + 3) == text.npos &&
         host + 3 < text.size();
}

void declare_serve(CLI::App& app, Parsed& parsed) {
  server::ServerOptions& server = parsed.serve.server;
  OptionTable table(&app);
  add_model(table, parsed.serve.engine.model_path);
  table.text("--alias", "NAME", "The model's name in the API; default: its file's", server.alias);
  table.heading("Address");
  table.text("--host", "HOST", "Address to listen on (127.0.0.1)", server.host);
  table.whole("--port", "Port to listen on (8080); 0 takes a free one and prints it", 0, 65535, server.port);
  table.path("--api-key-file", "FILE", "File with the key that clients have to give", parsed.serve.api_key_file);
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
  table.whole("--cache-mib", "MiB of memory for the caches of idle conversations (1024)", 0, kMost, parsed.cache_mib);
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
  add_machine(table, parsed.serve.engine);
  add_sampler(table, server.sampler);
  app.footer(
      "Examples:\n"
      "  dgemma serve -m models/pocket\n"
      "  dgemma serve -m model.gguf --host 0.0.0.0 --api-key-file key.txt --parallel 4\n"
      "\nThe page is at http://127.0.0.1:8080/, the OpenAI API below /v1. TERM or Ctrl-C ends it when the running "
      "answers are done, a second one at once. docs/SERVER.md says what each endpoint takes.");
}

Result<Invocation> check_serve(Parsed& parsed, const Environment& environment) {
  server::ServerOptions& server = parsed.serve.server;
  server.cache_bytes = static_cast<uint64_t>(parsed.cache_mib) << 20;
  if (parsed.serve.api_key_file && !server.api_key.empty())
    return conflict("--api-key", "a key or a file with it", "both. Leave one out");
  DG_TRY(need_model(parsed.serve.engine.model_path, environment));
  return Invocation(std::move(parsed.serve));
}

void declare_bench(CLI::App& app, BenchArguments& arguments) {
  OptionTable table(&app);
  add_model(table, arguments.engine.model_path);
  table.heading("Measurement");
  table.whole("-c,--context", "Longest prompt that a step is measured behind, in tokens; default: 4096, or what fits",
              1, kMost, arguments.bench.context);
  table.ids("--prompt-ids", "The prompt, repeated to make longer ones; default: 512 random tokens",
            arguments.bench.prompt_ids);
  table.whole("--repeat", "Rounds; each measures everything, and all must give the same bits (3)", 2, 1000,
              arguments.bench.repeat);
  table.value("--routing", "NAME",
              "Who chooses each row's experts: model, its own router; or even, a draw over all of them, "
              "since random weights send all rows to few (model)",
              "model or even", [&arguments](const std::string& name) {
                arguments.bench.routing = name == "even" ? BenchRouting::kEven : BenchRouting::kModel;
                return name == "even" || name == "model";
              });
  add_sampler(table, arguments.bench.sampler);
  add_threads(table, arguments.engine.threads);
  add_settings(table, arguments.settings, " to measure, one report each, or all", kMostNames);
  add_json(table, arguments.json);
  app.footer(
      "Examples:\n"
      "  dgemma bench -m model.gguf\n"
      "  dgemma bench -m model.gguf --kernels avx2,avx512 --json\n"
      "  dgemma bench -m model.gguf --kernels all --compute all -c 512\n"
      "\n\"all\" stands for everything that this machine has. With --json one object a line for each combination.");
}

Result<Invocation> check_bench(BenchArguments& arguments, const Environment& environment) {
  for (std::vector<std::string>* names : {&arguments.settings.kernels, &arguments.settings.compute})
    if (names->size() > 1 && std::find(names->begin(), names->end(), "all") != names->end())
      return conflict(names == &arguments.settings.kernels ? "--kernels" : "--compute", "all, or names", "both");
  DG_TRY(need_model(arguments.engine.model_path, environment));
  return Invocation(std::move(arguments));
}

void declare_compare(CLI::App& app, Parsed& parsed) {
  CompareArguments& arguments = parsed.compare;
  CompareExtras& extras = parsed.compare_extras;
  OptionTable table(&app);
  add_model(table, extras.model);
  table.path("A", "A", "The model that leads; the same as --model", extras.first);
  table.path("B", "B", "The model that is compared with it; default: A with other settings", extras.second);
  table.heading("Prompts (one of these; default: random tokens)");
  table.text("-p,--prompt", "TEXT", "One user message; the model's chat format is applied", arguments.prompt);
  table.path("-f,--file", "FILE", "User messages, one a line; - is standard input", arguments.file);
  table.flag("--jsonl", "Each line of FILE is a JSON string, or a chat request", arguments.jsonl);
  table.ids("--prompt-ids", "Token ids such as 2,5,9; nothing is added", extras.prompt_ids);
  table.whole("--random", "Number of random prompts (4)", 1, kMostPrompts, extras.random);
  table.whole("--random-tokens", "Tokens in each random prompt (64)", 1, kMost, extras.random_tokens);
  table.heading("Comparison");
  add_seed(table, "Seed of random prompts, canvases and samples (0)", arguments.compare.seed);
  table.whole("--worst", "Number of rows to list, those that differ most (10)", 0, kMostPrompts,
              arguments.compare.worst_rows);
  add_sampler(table, arguments.compare.sampler);
  add_threads(table, extras.machine.threads);
  add_settings(table, extras.settings, ", one for both or A,B", 2);
  add_json(table, arguments.json);
  app.footer(
      "Examples:\n"
      "  dgemma compare bf16.gguf q4.gguf --compute f32 -p \"What is text diffusion?\"\n"
      "  dgemma compare -m model.gguf --compute f32,int8 --random 8\n"
      "  dgemma compare -m model.gguf --kernels scalar,avx2 --prompt-ids 2,5,9 --json\n"
      "\nA answers each prompt with one canvas; B is led along the same steps. One model alone is compared with "
      "itself: compute f32 with the other precision that is given, or with int8.");
}

Result<Invocation> check_compare(Parsed& parsed, const Environment& environment) {
  CompareArguments& arguments = parsed.compare;
  CompareExtras& extras = parsed.compare_extras;
  const int prompts = arguments.prompt.has_value() + arguments.file.has_value() + extras.prompt_ids.has_value();
  if (prompts > 1)
    return conflict("prompt", "one of -p, -f and --prompt-ids", base::concat(prompts, " of them. Leave one"));
  if (prompts == 1 && (extras.random || extras.random_tokens))
    return conflict(extras.random ? "--random" : "--random-tokens", "random prompts",
                    "prompts from -p, -f or --prompt-ids as well. Leave one out");
  if (extras.random) arguments.compare.random_prompts = *extras.random;
  if (extras.random_tokens) arguments.compare.random_tokens = *extras.random_tokens;
  if (arguments.jsonl && !arguments.file) return conflict("--jsonl", "-f with it", "none. Name the file of lines");
  for (const std::vector<std::string>* names : {&extras.settings.kernels, &extras.settings.compute})
    if (std::find(names->begin(), names->end(), "all") != names->end())
      return conflict(names == &extras.settings.kernels ? "--kernels" : "--compute", "at most two names", "all");
  if (!extras.model.empty()) {
    if (!extras.second.empty()) return conflict("B", "two models", "--model, A and B. Leave one out");
    extras.second = std::exchange(extras.first, extras.model);
  }
  DG_TRY(need_model(extras.first, environment));
  if (extras.prompt_ids) arguments.compare.prompt_ids = {*extras.prompt_ids};
  const bool alone = extras.second.empty();
  std::vector<std::string>& compute = extras.settings.compute;
  const std::vector<std::string>& kernels = extras.settings.kernels;
  if (alone && kernels.size() < 2 && compute.size() < 2)
    compute = {"f32", compute.empty() ? std::string("int8") : compute.front()};
  arguments.a = arguments.b = extras.machine;
  arguments.a.model_path = extras.first, arguments.b.model_path = alone ? extras.first : extras.second;
  if (!kernels.empty()) arguments.a.kernels = kernels.front(), arguments.b.kernels = kernels.back();
  if (!compute.empty()) arguments.a.compute = compute.front(), arguments.b.compute = compute.back();
  return Invocation(std::move(arguments));
}

void declare_inspect(CLI::App& app, InspectArguments& arguments) {
  OptionTable table(&app);
  add_model(table, arguments.model);
  add_json(table, arguments.json);
  app.footer(
      "Examples:\n"
      "  dgemma inspect -m models/pocket\n"
      "  dgemma inspect -m model.gguf --json\n"
      "\nReads the headers only. Exit status 3 where the model could not be loaded; the report says why.");
}

Result<Invocation> check_inspect(InspectArguments& arguments, const Environment& environment) {
  DG_TRY(need_model(arguments.model, environment));
  return Invocation(std::move(arguments));
}

void declare_quantize(CLI::App& app, QuantizeArguments& arguments) {
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
}

Result<Invocation> check_quantize(QuantizeArguments& arguments, const Environment& environment) {
  if (arguments.quantize.output_path.empty()) return conflict("--output", "a file to write", "none. Give -o FILE");
  if (arguments.quantize.output_path == "-")
    return conflict("--output", "a file to write, which is mapped where it is used", "-, standard output");
  DG_TRY(need_model(arguments.quantize.model_path, environment));
  return Invocation(std::move(arguments));
}

void declare_info(CLI::App& app, InfoArguments& arguments) {
  OptionTable table(&app);
  add_json(table, arguments.json);
  app.footer("Examples:\n  dgemma info\n  dgemma info --json");
}

void declare_tokenize(CLI::App& app, Parsed& parsed) {
  TokenizeArguments& arguments = parsed.tokenize;
  OptionTable table(&app);
  add_model(table, arguments.source);
  table.path("--tokenizer", "FILE", "A tokenizer.json instead of a model", parsed.tokenizer);
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
}

Result<Invocation> check_tokenize(Parsed& parsed, const Environment& environment) {
  TokenizeArguments& arguments = parsed.tokenize;
  if (!arguments.source.empty() && !parsed.tokenizer.empty())
    return conflict("--tokenizer", "a model or a tokenizer.json", "both. Leave one out");
  if (!parsed.tokenizer.empty()) arguments.source = parsed.tokenizer;
  if (arguments.decode && arguments.plain) return conflict("--plain", "text to encode", "--decode. Leave one out");
  if (arguments.jsonl && arguments.text)
    return conflict("--jsonl", "lines on standard input", "TEXT as well. Leave one out");
  DG_TRY(need_model(arguments.source, environment));
  return Invocation(std::move(arguments));
}

void declare_render(CLI::App& app, Parsed& parsed) {
  OptionTable table(&app);
  add_model(table, parsed.render.model);
  table.value("--template", "NAME", "A built-in chat format instead of a model's: gemma4", "gemma4",
              [&parsed](const std::string& name) { return parsed.template_name = name, name == "gemma4"; });
  table.heading("Request");
  table.path("FILE", "FILE", "A chat request in OpenAI form as JSON; default: - (standard input)", parsed.render.file);
  table.flag("--jsonl", "Each input line is a request, each output line a JSON string", parsed.render.jsonl);
  app.footer(
      "Examples:\n"
      "  dgemma render -m models/pocket request.json\n"
      "  dgemma render --template gemma4 < request.json\n"
      "\nPrints the prompt text exactly, without a newline at its end.");
}

Result<Invocation> check_render(Parsed& parsed, const Environment& environment) {
  if (!parsed.template_name.empty()) {
    if (!parsed.render.model.empty()) return conflict("--template", "a model or a template", "both. Leave one out");
  } else if (!need_model(parsed.render.model, environment)) {
    return conflict("--template", "a model or a template", "none. Give -m PATH or --template gemma4");
  }
  return Invocation(std::move(parsed.render));
}

// The program ------------------------------------------------------------------------------------------------------

struct Command {
  const char *name, *summary;
  void (*declare)(CLI::App& app, Parsed& parsed);
  Result<Invocation> (*check)(Parsed& parsed, const Environment& environment);
};

constexpr Command kProgramCommands[] = {
    {"generate", "Answer one prompt", [](CLI::App& app, Parsed& p) { declare_generate(app, p.generate); },
     [](Parsed& p, const Environment& e) { return check_generate(p.generate, e); }},
    {"chat", "Talk; the canvas comes into focus", [](CLI::App& app, Parsed& p) { declare_chat(app, p.chat); },
     [](Parsed& p, const Environment& e) { return check_chat(p.chat, e); }},
    {"serve", "Answer over HTTP: the OpenAI API, and a page", [](CLI::App& app, Parsed& p) { declare_serve(app, p); },
     [](Parsed& p, const Environment& e) { return check_serve(p, e); }},
    {"bench", "Measure speed, memory and use of the machine",
     [](CLI::App& app, Parsed& p) { declare_bench(app, p.bench); },
     [](Parsed& p, const Environment& e) { return check_bench(p.bench, e); }},
    {"compare", "Tell how far two models or precisions differ",
     [](CLI::App& app, Parsed& p) { declare_compare(app, p); },
     [](Parsed& p, const Environment& e) { return check_compare(p, e); }},
    {"inspect", "Show what is in a model file", [](CLI::App& app, Parsed& p) { declare_inspect(app, p.inspect); },
     [](Parsed& p, const Environment& e) { return check_inspect(p.inspect, e); }},
    {"quantize", "Pack a model into a file that loads at once",
     [](CLI::App& app, Parsed& p) { declare_quantize(app, p.quantize); },
     [](Parsed& p, const Environment& e) { return check_quantize(p.quantize, e); }},
    {"info", "Show this machine: cores, instruction sets, memory",
     [](CLI::App& app, Parsed& p) { declare_info(app, p.info); },
     [](Parsed& p, const Environment&) { return Result<Invocation>(p.info); }},
    {"tokenize", "Turn text into token ids, and ids into text",
     [](CLI::App& app, Parsed& p) { declare_tokenize(app, p); },
     [](Parsed& p, const Environment& e) { return check_tokenize(p, e); }},
    {"render", "Turn messages into the prompt text", [](CLI::App& app, Parsed& p) { declare_render(app, p); },
     [](Parsed& p, const Environment& e) { return check_render(p, e); }},
};

void declare_program(CLI::App& app, Parsed& parsed) {
  app.formatter(std::make_shared<HelpPage>());  // the commands' too
  app.set_version_flag("--version", "dgemma " DGEMMA_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this page, or a command's, and exit");
  app.require_subcommand(1);
  for (const Command& command : kProgramCommands)
    command.declare(*app.add_subcommand(command.name, command.summary), parsed);
  app.footer(
      "Every command has its own page: dgemma generate --help\n"
      "\nExit status: 0 done; 1 failed; 2 wrong usage; 3 a model file that cannot be used; 4 not enough "
      "memory; 130 interrupted.\n\nEnvironment: DGEMMA_MODEL is the default of --model; NO_COLOR turns off colour and "
      "drawing.");
}

Result<Invocation> check_command(const std::string& name, Parsed& parsed, const Environment& environment) {
  const Command* command = std::ranges::find(kProgramCommands, name, &Command::name);
  DG_CHECK(command != std::end(kProgramCommands), "no command ", name);
  return command->check(parsed, environment);
}

// Errors -----------------------------------------------------------------------------------------------------------

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// " Did you mean --threads?" where a known name is close, else "".
std::string suggestion(const std::string& typed, const std::vector<std::string>& known) {
  constexpr size_t kClose = 2;  // one letter swapped, or two wrong
  const auto distance = [&typed](const std::string& name) {
    return name.starts_with(typed) && typed.size() > 3 ? 0 : edit_distance(typed, name);
  };
  const auto best = std::min_element(known.begin(), known.end(),
                                     [&distance](const auto& a, const auto& b) { return distance(a) < distance(b); });
  if (best == known.end() || distance(*best) > kClose) return "";
  return " Did you mean " + *best + "?";
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string unknown_argument(const CLI::App& command, const std::string& typed) {
  const std::string page = base::concat(" See dgemma ", command.get_name(), " --help");
  if (!typed.starts_with('-'))
    return base::concat("argument: expected no more arguments, got ", base::quoted(typed), ".", page);
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string name = typed.substr(0, typed.find('='));
  if (name == "--temperature" && std::find(known.begin(), known.end(), "--t-max") != known.end())
    return base::concat("option: expected --t-max and --t-min, between which the temperature falls, got ",
                        base::quoted(name), ".", page);
  return base::concat("option: expected one that dgemma ", command.get_name(), " has, got ", base::quoted(name), ".",
                      suggestion(name, known), page);
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const auto commands = app.get_subcommands();
  if (commands.empty()) {
    const auto rest = app.remaining(true);
    const std::string expected = "command: expected one of " + joined(command_names(app));
    if (rest.empty()) return expected + ", got none. See dgemma --help";
    if (rest.front().starts_with('-'))
      return base::concat("option: expected a command first, got ", base::quoted(rest.front()), ". See dgemma --help");
    return base::concat(expected, ", got ", base::quoted(rest.front()), ".",
                        suggestion(rest.front(), command_names(app)), " See dgemma --help");
  }
  const CLI::App& command = *commands.front();
  const std::string page = base::concat(" See dgemma ", command.get_name(), " --help");
  const std::string text = error.what();
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) return text + page;
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    return unknown_argument(command, command.remaining().empty() ? text : command.remaining().front());
  const std::string option = text.substr(0, text.find_first_of(": "));
  if (!option.starts_with('-')) return base::concat("--", option, ": expected no value, got one.", page);  // a flag
  return base::concat(option, ": expected a value, got none.", page);
}

/// CLI11 reads "--name=" as an option without a value; here the value is the empty text, as GNU programs read it.
std::vector<std::string> reversed_arguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--") && argument.size() > 3 && argument.find('=') == argument.size() - 1) {
      result.push_back(argument.substr(0, argument.size() - 1));
      result.emplace_back();
    } else {
      result.push_back(argument);
    }
  }
  std::reverse(result.begin(), result.end());  // CLI11 takes arguments from the end of the list
  return result;
}

}  // namespace

Result<Invocation> parse_arguments(const std::vector<std::string>& arguments, const Environment& environment) {
  Parsed parsed;
  CLI::App app("dgemma runs DiffusionGemma: text that comes into focus, canvas by canvas.", "dgemma");
  declare_program(app, parsed);
  try {
    app.parse(reversed_arguments(arguments));
  } catch (const CLI::CallForHelp&) {
    return Invocation(ShowText{app.help()});
  } catch (const CLI::CallForVersion& version) {
    return Invocation(ShowText{std::string(version.what()) + "\n"});
  } catch (const CLI::ParseError& error) {
    return Unexpected(ErrorCode::kUsage, usage_message(app, error));
  }
  const std::string name = app.get_subcommands().front()->get_name();
  auto invocation = check_command(name, parsed, environment);
  if (!invocation)
    return Unexpected(ErrorCode::kUsage, base::concat(invocation.error().message, ". See dgemma ", name, " --help"));
  return invocation;
}

}  // namespace dgemma::cli
