// What every command gets: the environment, where results go, who hears signals. And the commands themselves.
//
// A command does its work and gives the exit status of docs/CLI.md; messages are written where the failure is known.
// Test: tests/cli/program_test.sh runs the built program.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/environment.h"
#include "cli/signals.h"
#include "cli/streams.h"
#include "dgemma/engine.h"
#include "dgemma/quantize.h"

namespace dgemma::cli {

struct Program {
  Environment environment;
  Output out;
  Signals& signals;
};

/// The whole program: `arguments` without the program's name in, exit status out.
int run_program(const std::vector<std::string>& arguments);

int run_generate(const GenerateArguments& arguments, Program& program);
int run_chat(const ChatArguments& arguments, Program& program);
int run_serve(const ServeArguments& arguments, Program& program);
int run_bench_command(const BenchArguments& arguments, Program& program);
int run_compare(const CompareArguments& arguments, Program& program);
int run_inspect(const InspectArguments& arguments, Program& program);
int run_quantize(const QuantizeArguments& arguments, Program& program);
int run_info(const InfoArguments& arguments, Program& program);
int run_tokenize(const TokenizeArguments& arguments, Program& program);
int run_render(const RenderArguments& arguments, Program& program);

/// The exit status of a command whose results are written: 0, or 1 with a message where writing failed.
int finish_output(const Output& out);

/// Engine::open with progress on standard error when it takes longer than a second. A model that does not exist or
/// cannot be read is reported as kModelFile: exit status 3 is for a model file that cannot be used.
Result<Engine> open_model(EngineOptions options);
/// quantize_model with such a line of progress.
Result<QuantizeReport> pack_model(QuantizeOptions options);
/// The error with kNotFound and kIo turned into kModelFile.
Error as_model_error(Error error);

}  // namespace dgemma::cli
