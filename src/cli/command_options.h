// Options that several commands have, each declared once, and what their checks share.
//
// Not the commands: those are in answer_options.cc (generate, chat, serve), measure_options.cc (bench, compare) and
// file_options.cc (the rest). Each of them has a declare function, which puts its options on its page and returns the
// check of what they say together. The order of the calls is the order of the page. Test: tests/cli/arguments_test.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/option_table.h"

namespace dgemma::cli {

inline constexpr int kMost = std::numeric_limits<int>::max();

/// What a command's options say together. Called once, after they were read. Errors: kUsage.
using OptionCheck = std::function<Result<Invocation>(const Environment&)>;

OptionCheck declare_generate(CLI::App& app);
OptionCheck declare_chat(CLI::App& app);
OptionCheck declare_serve(CLI::App& app);
OptionCheck declare_bench(CLI::App& app);
OptionCheck declare_compare(CLI::App& app);
OptionCheck declare_inspect(CLI::App& app);
OptionCheck declare_quantize(CLI::App& app);
OptionCheck declare_info(CLI::App& app);
OptionCheck declare_tokenize(CLI::App& app);
OptionCheck declare_render(CLI::App& app);

void add_model(OptionTable& table, std::string& path);
void add_threads(OptionTable& table, int& threads);
/// Threads, and one --kernels and --compute.
void add_machine(OptionTable& table, EngineOptions& engine);
/// --kernels and --compute as lists of at most `most` names. `what`: of what they are the settings.
void add_settings(OptionTable& table, SettingLists& settings, const std::string& what, size_t most);
void add_context(OptionTable& table, SessionOptions& session);
void add_sampler(OptionTable& table, SamplerOptions& sampler);
void add_seed(OptionTable& table, const std::string& help, uint64_t& seed);
void add_seed(OptionTable& table, const std::string& help, std::optional<uint64_t>& seed);
void add_json(OptionTable& table, bool& json);

/// Where no model is given, the environment's.
Result<void> need_model(std::string& path, const Environment& environment);
/// Options that cannot be together.
Unexpected conflict(const std::string& where, const std::string& expected, const std::string& got);

}  // namespace dgemma::cli
