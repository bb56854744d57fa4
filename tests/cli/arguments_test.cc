// Every option, every wrong value and every contradiction of the command line (src/cli/arguments.h, numbers.h).
#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/numbers.h"

namespace dgemma::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Environment with_model() {
  Environment environment;
  environment.model = "from-environment";
  return environment;
}

template <class Arguments>
Arguments parsed(const std::vector<std::string>& arguments, const Environment& environment = with_model()) {
  auto result = parse_arguments(arguments, environment);
  EXPECT_TRUE(result) << result.error().message;
  if (!result || !std::holds_alternative<Arguments>(*result)) {
    ADD_FAILURE() << "another command";
    return {};
  }
  return std::get<Arguments>(*result);
}

std::string error_of(const std::vector<std::string>& arguments, const Environment& environment = with_model()) {
  auto result = parse_arguments(arguments, environment);
  if (result) return "";
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  EXPECT_EQ(exit_status(result.error().code), 2);
  return result.error().message;
}

std::string error_of_generate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"generate", "-p", "x"});
  return error_of(arguments);
}

TEST(Arguments, generate_takes_every_option) {
  const auto a = parsed<GenerateArguments>({"generate",
                                            "-m",
                                            "pocket",
                                            "-p",
                                            "Hello",
                                            "-n",
                                            "12",
                                            "--seed",
                                            "18446744073709551615",
                                            "--system",
                                            "Be kind",
                                            "--think",
                                            "--max-denoising-steps",
                                            "9",
                                            "--t-min",
                                            "0.25",
                                            "--t-max",
                                            "1e0",
                                            "--entropy-bound",
                                            "0",
                                            "--stability-threshold",
                                            "0",
                                            "--confidence-threshold",
                                            "0.5",
                                            "--canvas-ids",
                                            "1,2,3",
                                            "--eos-ids",
                                            "1,106",
                                            "-t",
                                            "2",
                                            "--kernels",
                                            "avx2",
                                            "--compute",
                                            "f32",
                                            "-c",
                                            "512",
                                            "--trace",
                                            "t.jsonl",
                                            "--json"});
  EXPECT_EQ(a.engine.model_path, "pocket");
  EXPECT_EQ(a.prompt, "Hello");
  EXPECT_EQ(a.answer.generate.max_new_tokens, 12);
  EXPECT_EQ(a.answer.generate.seed, 18446744073709551615u);
  EXPECT_EQ(a.answer.system, "Be kind");
  EXPECT_TRUE(a.answer.think);
  const SamplerOptions& s = a.answer.generate.sampler;
  EXPECT_EQ(s.max_denoising_steps, 9);
  EXPECT_EQ(s.t_min, 0.25);
  EXPECT_EQ(s.t_max, 1.0);
  EXPECT_EQ(s.entropy_bound, 0.0);
  EXPECT_EQ(s.stability_threshold, 0);
  EXPECT_EQ(s.confidence_threshold, 0.5);
  EXPECT_THAT(*a.answer.generate.canvas_ids, ElementsAre(1, 2, 3));
  EXPECT_THAT(*a.answer.generate.eos_ids, ElementsAre(1, 106));
  EXPECT_EQ(a.engine.threads, 2);
  EXPECT_EQ(a.engine.kernels, "avx2");
  EXPECT_EQ(a.engine.compute, "f32");
  EXPECT_EQ(a.answer.session.context, 512);
  EXPECT_EQ(a.answer.trace, "t.jsonl");
  EXPECT_TRUE(a.json);
}

TEST(Arguments, what_is_not_given_stays_empty) {
  const auto a = parsed<GenerateArguments>({"generate", "-p", "x"});
  EXPECT_EQ(a.engine.model_path, "from-environment");
  EXPECT_FALSE(a.answer.generate.seed);
  EXPECT_FALSE(a.answer.generate.max_new_tokens);
  EXPECT_FALSE(a.answer.generate.eos_ids);
  EXPECT_FALSE(a.answer.generate.sampler.t_min);
  EXPECT_EQ(a.engine.threads, 0);
  EXPECT_EQ(a.engine.compute, "auto");
  EXPECT_TRUE(a.answer.live);
}

TEST(Arguments, the_temperature_may_go_down_to_zero) {  // no step has it: the last one is one Nth of the way above
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "-p", "x", "--t-min", "0"}).answer.generate.sampler.t_min, 0.0);
}

TEST(Arguments, eos_ids_none_means_no_end_token) {
  const auto a = parsed<GenerateArguments>({"generate", "--prompt-ids", "2,5", "--eos-ids", "none"});
  ASSERT_TRUE(a.answer.generate.eos_ids);
  EXPECT_TRUE(a.answer.generate.eos_ids->empty());
  EXPECT_THAT(*a.prompt_ids, ElementsAre(2, 5));
}

TEST(Arguments, values_that_look_like_options_or_commands_or_lists_stay_values) {
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "-p", "--json"}).prompt, "--json");
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "-p", ""}).prompt, "");
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "--prompt="}).prompt, "");
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "--prompt=a=b"}).prompt, "a=b");
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "-p", "[a,b]"}).prompt, "[a,b]");
  EXPECT_EQ(parsed<GenerateArguments>({"generate", "-p", "chat"}).prompt, "chat");
  EXPECT_EQ(parsed<TokenizeArguments>({"tokenize", "chat"}).text, "chat");
  EXPECT_EQ(parsed<TokenizeArguments>({"tokenize", "[1,2]", "--decode"}).text, "[1,2]");
  EXPECT_EQ(parsed<TokenizeArguments>({"tokenize", "--", "--plain"}).text, "--plain");
  EXPECT_EQ(parsed<TokenizeArguments>({"tokenize", ""}).text, "");
  EXPECT_EQ(parsed<RenderArguments>({"render", "-"}).file, "-");
}

TEST(Arguments, wrong_numbers_are_named_with_what_was_expected) {
  for (const char* option : {"--threads", "-n", "-c", "--max-denoising-steps"})
    for (const char* value : {"0", "-1", "1.5", "9x", "", " 3", "99999999999999999999", "0x10", "nan"})
      EXPECT_THAT(error_of_generate({option, value}), HasSubstr("expected a whole number from 1")) << option << value;
  for (const char* value : {"0", "-0.5", "nan", "inf", "1e999", "0.4f", "", "0,4"})
    EXPECT_THAT(error_of_generate({"--t-max", value}), HasSubstr("expected a finite number >= 1e-10, got '")) << value;
  for (const char* option : {"--t-min", "--entropy-bound", "--confidence-threshold"})
    for (const char* value : {"-0.1", "nan", "-inf", "x"})
      EXPECT_THAT(error_of_generate({option, value}), HasSubstr("expected a finite number >= 0")) << value;
  for (const char* value : {"-1", "18446744073709551616", "1.0", "+1", "seed"})
    EXPECT_THAT(error_of_generate({"--seed", value}), HasSubstr("--seed: expected a whole number from 0")) << value;
  for (const char* value : {"-1", "10001"})
    EXPECT_THAT(error_of_generate({"--stability-threshold", value}), HasSubstr("from 0 to 10000, got"));
  EXPECT_EQ(error_of_generate({"--threads", "0"}),
            "--threads: expected a whole number from 1 to 1024, got '0'. See dgemma generate --help");
}

TEST(Arguments, wrong_ids_are_refused) {
  for (const char* value : {"", "1,", ",1", "1,,2", "1;2", "-1", "2147483648", "1, 2 ,3", "none", "[1,2", "1.0"})
    EXPECT_THAT(error_of({"generate", "--prompt-ids", value}), HasSubstr("--prompt-ids: expected token ids")) << value;
  EXPECT_THAT(error_of_generate({"--eos-ids", ""}), HasSubstr("or none, got ''"));
  EXPECT_THAT(error_of_generate({"--canvas-ids", "x"}), HasSubstr("--canvas-ids"));
}

TEST(Arguments, contradictions_are_refused) {
  EXPECT_THAT(error_of({"generate"}), HasSubstr("expected one of -p TEXT, -f FILE and --prompt-ids IDS, got none"));
  EXPECT_THAT(error_of({"generate", "-p", "a", "-f", "b"}), HasSubstr("got 2 of them"));
  EXPECT_THAT(error_of({"generate", "--prompt-ids", "1", "--raw"}), HasSubstr("--raw"));
  EXPECT_THAT(error_of({"generate", "-p", "a", "--raw", "--think"}), HasSubstr("--raw"));
  EXPECT_THAT(error_of({"generate", "--prompt-ids", "1", "--system", "s"}), HasSubstr("--prompt-ids"));
  EXPECT_THAT(error_of_generate({"--trace", "-", "--json"}), HasSubstr("--trace"));
  EXPECT_THAT(error_of({"chat", "--trace", "-"}), HasSubstr("--trace"));
  EXPECT_THAT(error_of({"tokenize", "-m", "a", "--tokenizer", "b"}), HasSubstr("--tokenizer"));
  EXPECT_THAT(error_of({"tokenize", "--decode", "--plain"}), HasSubstr("--plain"));
  EXPECT_THAT(error_of({"tokenize", "--jsonl", "text"}), HasSubstr("--jsonl"));
  EXPECT_THAT(error_of({"render", "-m", "a", "--template", "gemma4"}), HasSubstr("--template"));
}

TEST(Arguments, bench_takes_lists_of_settings) {
  const auto a =
      parsed<BenchArguments>({"bench",    "-m",       "m.gguf",    "-c",        "600",         "--prompt-ids",
                              "2,5",      "--repeat", "5",         "--kernels", "avx2,scalar", "--compute",
                              "f32,int8", "-t",       "2",         "--t-max",   "0.9",         "--max-denoising-steps",
                              "12",       "--json",   "--routing", "even"});
  EXPECT_EQ(a.bench.routing, BenchRouting::kEven);
  EXPECT_EQ(parsed<BenchArguments>({"bench"}).bench.routing, BenchRouting::kModel);
  EXPECT_EQ(parsed<BenchArguments>({"bench", "--routing", "model"}).bench.routing, BenchRouting::kModel);
  EXPECT_THAT(error_of({"bench", "--routing", "random"}), HasSubstr("--routing: expected model or even, got 'random'"));
  EXPECT_EQ(a.engine.model_path, "m.gguf");
  EXPECT_EQ(a.engine.threads, 2);
  EXPECT_EQ(a.bench.context, 600);
  EXPECT_EQ(a.bench.repeat, 5);
  EXPECT_THAT(*a.bench.prompt_ids, ElementsAre(2, 5));
  EXPECT_THAT(a.settings.kernels, ElementsAre("avx2", "scalar"));
  EXPECT_THAT(a.settings.compute, ElementsAre("f32", "int8"));
  EXPECT_EQ(a.bench.sampler.t_max, 0.9);
  EXPECT_EQ(a.bench.sampler.max_denoising_steps, 12);
  EXPECT_TRUE(a.json);
  EXPECT_THAT(parsed<BenchArguments>({"bench", "--compute", "all"}).settings.compute, ElementsAre("all"));
  EXPECT_TRUE(parsed<BenchArguments>({"bench"}).settings.kernels.empty());
}

TEST(Arguments, wrong_lists_of_settings_are_refused) {
  for (const char* value : {"", ",", "avx2,", ",avx2", "avx2,avx2"})
    EXPECT_THAT(error_of({"bench", "--kernels", value}), HasSubstr("--kernels: expected different names")) << value;
  for (const char* value : {"", "f32,f32", "f16", "f32,int4", "f32,all"})
    EXPECT_THAT(error_of({"bench", "--compute", value}),
                HasSubstr("--compute: expected different names of f32, bf16, int8 and auto"))
        << value;
  EXPECT_THAT(error_of({"bench", "--kernels", "all,avx2"}), HasSubstr("--kernels: expected all, or names"));
  EXPECT_THAT(error_of({"bench", "--repeat", "1"}), HasSubstr("expected a whole number from 2 to 1000"));
  EXPECT_THAT(error_of({"compare", "--kernels", "a,b,c"}), HasSubstr("--kernels"));
  EXPECT_THAT(error_of({"compare", "--compute", "all"}), HasSubstr("at most two names"));
  EXPECT_THAT(
      error_of({"compare", "--compute", "f32,f32"}),
      HasSubstr("--compute: expected one name, for both sides, or two different ones of f32, bf16, int8 and auto, "
                "separated by commas, got 'f32,f32'"));
}

TEST(Arguments, an_empty_path_is_not_the_default) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"generate", "-m", "", "-p", "x"},
                                                  {"generate", "-p", "x", "--trace", ""},
                                                  {"generate", "-f", ""},
                                                  {"serve", "--api-key-file", ""},
                                                  {"serve", "--trace-dir", ""},
                                                  {"inspect", "-m", ""},
                                                  {"tokenize", "--tokenizer", "", "x"},
                                                  {"quantize", "-o", ""},
                                                  {"compare", "", "x"},
                                                  {"render", ""}})
    EXPECT_THAT(error_of(command), HasSubstr(": expected a path, got ''")) << command[1];
}

TEST(Arguments, one_model_is_compared_with_itself_and_two_with_each_other) {
  const auto alone = parsed<CompareArguments>({"compare"});
  EXPECT_EQ(alone.a.model_path, "from-environment");
  EXPECT_EQ(alone.b.model_path, "from-environment");
  EXPECT_EQ(alone.a.compute, "f32");
  EXPECT_EQ(alone.b.compute, "int8") << "what auto is, beside the reference's arithmetic";
  EXPECT_EQ(parsed<CompareArguments>({"compare", "x", "--compute", "int8"}).b.compute, "int8");
  EXPECT_EQ(parsed<CompareArguments>({"compare", "x", "--compute", "bf16,int8"}).a.compute, "bf16");
  const auto kernels = parsed<CompareArguments>({"compare", "x", "--kernels", "scalar,avx2"});
  EXPECT_EQ(kernels.a.kernels, "scalar");
  EXPECT_EQ(kernels.b.kernels, "avx2");
  EXPECT_EQ(kernels.a.compute, kernels.b.compute) << "one difference at a time";
  for (const std::vector<std::string>& two :
       {std::vector<std::string>{"compare", "x", "y"}, std::vector<std::string>{"compare", "-m", "x", "y"}}) {
    const auto pair = parsed<CompareArguments>(two);
    EXPECT_EQ(pair.a.model_path, "x");
    EXPECT_EQ(pair.b.model_path, "y");
    EXPECT_EQ(pair.b.compute, "auto");
  }
  EXPECT_THAT(error_of({"compare", "-m", "x", "y", "z"}), HasSubstr("expected two models"));
  EXPECT_THAT(error_of({"compare", "x", "-p", "a", "--prompt-ids", "2"}), HasSubstr("got 2 of them"));
  EXPECT_THAT(error_of({"compare", "x", "--random", "4", "-p", "a"}), HasSubstr("--random: expected random prompts"));
  EXPECT_THAT(error_of({"compare", "x", "-f", "a", "--random", "1"}), HasSubstr("--random: expected random prompts"));
  EXPECT_THAT(error_of({"compare", "x", "--prompt-ids", "2", "--random-tokens", "8"}), HasSubstr("--random-tokens: "));
  EXPECT_EQ(parsed<CompareArguments>({"compare", "x", "--random", "7"}).compare.random_prompts, 7);
  EXPECT_EQ(parsed<CompareArguments>({"compare", "x", "--random-tokens", "8"}).compare.random_tokens, 8);
  EXPECT_THAT(error_of({"compare", "x", "--jsonl"}), HasSubstr("--jsonl: expected -f with it"));
  EXPECT_THAT(error_of({"compare", "x", "--seed", "-1"}), HasSubstr("--seed"));
}

TEST(Arguments, a_packed_file_is_not_written_to_standard_output) {
  EXPECT_THAT(error_of({"quantize", "-m", "x", "-o", "-"}), HasSubstr("--output: expected a file to write"));
}

TEST(Arguments, weights_are_packed_to_four_or_eight_bits) {
  EXPECT_THAT(error_of({"quantize", "-m", "x", "-o", "y", "--bits", "5"}),
              HasSubstr("--bits: expected 4 or 8, got '5'"));
}

TEST(Arguments, missing_values_and_repeated_options_are_refused) {
  EXPECT_EQ(error_of({"generate", "-p"}), "--prompt: expected a value, got none. See dgemma generate --help");
  EXPECT_EQ(error_of_generate({"-n", "1", "-n", "2"}),
            "--max-new-tokens: expected one value, got 2. See dgemma generate --help");
  EXPECT_THAT(error_of({"info", "--json=yes"}), HasSubstr("--json: expected no value"));
}

TEST(Arguments, unknown_options_and_commands_are_refused_with_a_hint) {
  EXPECT_EQ(error_of_generate({"--thread", "2"}),
            "option: expected one that dgemma generate has, got '--thread'. Did you mean --threads? See dgemma "
            "generate --help");
  EXPECT_THAT(error_of_generate({"--sede=2"}), HasSubstr("got '--sede'. Did you mean --seed?"));
  EXPECT_THAT(error_of_generate({"stray"}), HasSubstr("expected no more arguments, got 'stray'"));
  EXPECT_THAT(error_of({"inspect", "models/pocket"}), HasSubstr("Did you mean --model 'models/pocket'?"));
  EXPECT_THAT(error_of({"generate", "-m", "x", "Hello there"}), HasSubstr("Did you mean --prompt 'Hello there'?"));
  EXPECT_EQ(error_of({"generate", "-m", "x", "-p", "y", "z"}),
            "argument: expected no more arguments, got 'z'. See dgemma generate --help");
  EXPECT_EQ(error_of({"-m", "generate", "-p", "y"}),
            "command: expected nothing before generate, got '-m'. See dgemma generate --help");
  EXPECT_THAT(error_of({"info", "-m", "x"}), HasSubstr("option: expected one that dgemma info has, got '-m'"));
  EXPECT_THAT(error_of({"info", "--canvas-ids", "1"}), HasSubstr("'--canvas-ids'"));
  EXPECT_THAT(error_of({}),
              HasSubstr("command: expected one of generate, chat, serve, bench, compare, inspect, quantize, "
                        "info, tokenize, render, got none"));
  EXPECT_THAT(error_of({"genrate"}), HasSubstr("Did you mean generate?"));
  EXPECT_THAT(error_of({"--json"}), HasSubstr("expected a command first, got '--json'"));
  EXPECT_THAT(error_of({"frobnicate"}), HasSubstr("command: expected one of"));
}

TEST(Arguments, serve_takes_each_origin_that_a_browser_sends) {
  for (const char* origin : {"*", "null", "https://example.org", "http://localhost:3000", "app://page"})
    EXPECT_EQ(parsed<ServeArguments>({"serve", "-m", "x", "--cors-origin", origin}, {}).server.cors_origin, origin);
}

TEST(Arguments, serve_takes_its_address_its_places_and_its_limits) {
  const auto plain = parsed<ServeArguments>({"serve", "-m", "x"}, {});
  EXPECT_EQ(plain.server.host, "127.0.0.1");
  EXPECT_EQ(plain.server.port, 8080);
  EXPECT_EQ(plain.server.cache_bytes, uint64_t{1} << 30);
  const auto full = parsed<ServeArguments>({"serve", "-m", "x", "--port", "0", "--parallel", "3", "--cache-mib", "2",
                                            "--api-key-file", "k", "--log-format", "json", "--t-max", "0.5"},
                                           {});
  EXPECT_EQ(full.server.port, 0);
  EXPECT_EQ(full.server.parallel, 3);
  EXPECT_EQ(full.server.cache_bytes, uint64_t{2} << 20);
  EXPECT_EQ(full.api_key_file, "k");
  EXPECT_EQ(full.server.log_format, server::LogFormat::kJson);
  EXPECT_EQ(full.server.sampler.t_max, 0.5);
  EXPECT_THAT(error_of({"serve", "-m", "x", "--port", "70000"}),
              HasSubstr("--port: expected a whole number from 0 to 65535"));
  EXPECT_THAT(error_of({"serve", "-m", "x", "--api-key", "a", "--api-key-file", "b"}), HasSubstr("--api-key"));
  EXPECT_THAT(error_of({"serve", "-m", "x", "--api-key", ""}), HasSubstr("--api-key: expected visible ASCII"));
}

TEST(Arguments, a_model_is_needed_where_one_is_used) {
  const Environment none;
  EXPECT_THAT(error_of({"generate", "-p", "x"}, none), HasSubstr("set the environment variable DGEMMA_MODEL"));
  EXPECT_THAT(error_of({"chat"}, none), HasSubstr("--model: expected a model, got none"));
  EXPECT_THAT(error_of({"inspect"}, none), HasSubstr("--model"));
  EXPECT_THAT(error_of({"bench"}, none), HasSubstr("--model"));
  EXPECT_THAT(error_of({"compare"}, none), HasSubstr("--model"));
  EXPECT_THAT(error_of({"tokenize", "x"}, none), HasSubstr("--model"));
  EXPECT_THAT(error_of({"render"}, none), HasSubstr("--template: expected a model or a template, got none"));
  parsed<InfoArguments>({"info"}, none);
  EXPECT_EQ(parsed<RenderArguments>({"render", "--template", "gemma4"}, none).model, "");
  EXPECT_EQ(parsed<TokenizeArguments>({"tokenize", "--tokenizer", "t.json", "x"}, none).source, "t.json");
}

TEST(Arguments, help_has_examples_for_every_command) {
  for (const char* command :
       {"generate", "chat", "serve", "bench", "compare", "inspect", "info", "tokenize", "render"}) {
    const std::string help = parsed<ShowText>({command, "--help"}, {}).text;
    EXPECT_THAT(help, HasSubstr(std::string("Usage: dgemma ") + command));
    EXPECT_THAT(help, HasSubstr("Examples:\n  "));
    EXPECT_THAT(parsed<ShowText>({"--help"}, {}).text, HasSubstr(std::string("  ") + command));
  }
  EXPECT_THAT(parsed<ShowText>({"--version"}, {}).text, testing::StartsWith("dgemma "));
  EXPECT_EQ(parsed<ShowText>({"help"}, {}).text, parsed<ShowText>({"--help"}, {}).text);
  EXPECT_EQ(parsed<ShowText>({"help", "bench"}, {}).text, parsed<ShowText>({"bench", "--help"}, {}).text);
}

TEST(Arguments, help_fits_eighty_columns_and_has_no_double_blank_lines) {
  std::vector<std::vector<std::string>> pages = {{"--help"}};
  for (const char* command :
       {"generate", "chat", "serve", "bench", "compare", "inspect", "quantize", "info", "tokenize", "render"})
    pages.push_back({command, "--help"});
  for (const auto& page : pages) {
    const std::string help = parsed<ShowText>(page, {}).text;
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
    EXPECT_THAT(help, Not(HasSubstr("\n\n\n")));
  }
  const std::string help = parsed<ShowText>({"tokenize", "--help"}, {}).text;
  EXPECT_THAT(help, HasSubstr("[TEXT]\n"));
  EXPECT_THAT(help, HasSubstr("\n  TEXT  "));
}

TEST(Arguments, temperature_is_a_schedule) {
  EXPECT_THAT(error_of({"generate", "-p", "x", "--temperature", "0.5"}), HasSubstr("expected --t-max and --t-min"));
  EXPECT_THAT(error_of({"tokenize", "--temperature=1"}), HasSubstr("expected one that dgemma tokenize has"));
}

TEST(Numbers, ids_may_be_pasted_as_a_json_array) {
  EXPECT_THAT(*parse_ids("[2, 5,9]"), ElementsAre(2, 5, 9));
  EXPECT_TRUE(parse_ids("[]")->empty());
}

}  // namespace
}  // namespace dgemma::cli
