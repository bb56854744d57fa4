// The options of the commands that measure: bench and compare.
//
// Both take settings (instruction sets, arithmetic) as lists and compute under each of them: bench gives a report for
// every combination, compare makes of one or two names what its sides A and B are. Test: tests/cli/arguments_test.cc.
#include "cli/command_options.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/format.h"

namespace dgemma::cli {
namespace {

constexpr size_t kMostNames = 16;  // in a list of kernels

Result<Invocation> check_bench(BenchArguments& arguments, const Environment& environment) {
  for (std::vector<std::string>* names : {&arguments.settings.kernels, &arguments.settings.compute})
    if (names->size() > 1 && std::find(names->begin(), names->end(), "all") != names->end())
      return conflict(names == &arguments.settings.kernels ? "--kernels" : "--compute", "all, or names", "both");
  DG_TRY(need_model(arguments.engine.model_path, environment));
  return Invocation(std::move(arguments));
}

/// What compare's options say before A and B are made of it.
struct CompareGiven {
  CompareArguments arguments;
  std::string model, first, second;
  EngineOptions machine;
  SettingLists settings;
  std::optional<std::vector<int32_t>> prompt_ids;
  std::optional<int> random, random_tokens;
};

Result<Invocation> check_compare(CompareGiven& given, const Environment& environment) {
  CompareArguments& arguments = given.arguments;
  const int prompts = arguments.prompt.has_value() + arguments.file.has_value() + given.prompt_ids.has_value();
  if (prompts > 1)
    return conflict("prompt", "one of -p, -f and --prompt-ids", base::concat(prompts, " of them. Leave one"));
  if (prompts == 1 && (given.random || given.random_tokens))
    return conflict(given.random ? "--random" : "--random-tokens", "random prompts",
                    "prompts from -p, -f or --prompt-ids as well. Leave one out");
  if (given.random) arguments.compare.random_prompts = *given.random;
  if (given.random_tokens) arguments.compare.random_tokens = *given.random_tokens;
  if (arguments.jsonl && !arguments.file) return conflict("--jsonl", "-f with it", "none. Name the file of lines");
  for (const std::vector<std::string>* names : {&given.settings.kernels, &given.settings.compute})
    if (std::find(names->begin(), names->end(), "all") != names->end())
      return conflict(names == &given.settings.kernels ? "--kernels" : "--compute", "at most two names", "all");
  if (!given.model.empty()) {
    if (!given.second.empty()) return conflict("B", "two models", "--model, A and B. Leave one out");
    given.second = std::exchange(given.first, given.model);
  }
  DG_TRY(need_model(given.first, environment));
  if (given.prompt_ids) arguments.compare.prompt_ids = {*given.prompt_ids};
  const bool alone = given.second.empty();
  std::vector<std::string>& compute = given.settings.compute;
  const std::vector<std::string>& kernels = given.settings.kernels;
  if (alone && kernels.size() < 2 && compute.size() < 2)
    compute = {"f32", compute.empty() ? std::string("int8") : compute.front()};
  arguments.a = arguments.b = given.machine;
  arguments.a.model_path = given.first, arguments.b.model_path = alone ? given.first : given.second;
  if (!kernels.empty()) arguments.a.kernels = kernels.front(), arguments.b.kernels = kernels.back();
  if (!compute.empty()) arguments.a.compute = compute.front(), arguments.b.compute = compute.back();
  return Invocation(std::move(arguments));
}

}  // namespace

OptionCheck declare_bench(CLI::App& app) {
  const auto given = std::make_shared<BenchArguments>();
  BenchArguments& arguments = *given;
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
  return [given](const Environment& environment) { return check_bench(*given, environment); };
}

OptionCheck declare_compare(CLI::App& app) {
  const auto given = std::make_shared<CompareGiven>();
  CompareArguments& arguments = given->arguments;
  OptionTable table(&app);
  add_model(table, given->model);
  table.path("A", "A", "The model that leads; the same as --model", given->first);
  table.path("B", "B", "The model that is compared with it; default: A with other settings", given->second);
  table.heading("Prompts (one of these; default: random tokens)");
  table.text("-p,--prompt", "TEXT", "One user message; the model's chat format is applied", arguments.prompt);
  table.path("-f,--file", "FILE", "User messages, one a line; - is standard input", arguments.file);
  table.flag("--jsonl", "Each line of FILE is a JSON string, or a chat request", arguments.jsonl);
  table.ids("--prompt-ids", "Token ids such as 2,5,9; nothing is added", given->prompt_ids);
  table.whole("--random", "Number of random prompts (4)", 1, kMostPrompts, given->random);
  table.whole("--random-tokens", "Tokens in each random prompt (64)", 1, kMost, given->random_tokens);
  table.heading("Comparison");
  add_seed(table, "Seed of random prompts, canvases and samples (0)", arguments.compare.seed);
  table.whole("--worst", "Number of rows to list, those that differ most (10)", 0, kMostPrompts,
              arguments.compare.worst_rows);
  add_sampler(table, arguments.compare.sampler);
  add_threads(table, given->machine.threads);
  add_settings(table, given->settings, ", one for both or A,B", 2);
  add_json(table, arguments.json);
  app.footer(
      "Examples:\n"
      "  dgemma compare bf16.gguf q4.gguf --compute f32 -p \"What is text diffusion?\"\n"
      "  dgemma compare -m model.gguf --compute f32,int8 --random 8\n"
      "  dgemma compare -m model.gguf --kernels scalar,avx2 --prompt-ids 2,5,9 --json\n"
      "\nA answers each prompt with one canvas; B is led along the same steps. One model alone is compared with "
      "itself: compute f32 with the other precision that is given, or with int8.");
  return [given](const Environment& environment) { return check_compare(*given, environment); };
}

}  // namespace dgemma::cli
