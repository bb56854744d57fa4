// dgemma bench: one report for each combination of kernels and precision (declared in program.h).
//
// Names are checked against what the machine has before anything is measured: a typing error must not show after
// minutes. Test: tests/cli/program_test.sh.
#include "dgemma/bench.h"

#include "cli/bench_report.h"
#include "cli/program.h"
#include "cli/progress_line.h"
#include "cli/terminal_text.h"
#include "dgemma/inspect.h"

namespace dgemma::cli {
namespace {

/// The names given, all of `known` for "all", one "" for none.
std::vector<std::string> expanded(const std::vector<std::string>& names, const std::vector<std::string>& known) {
  if (names.empty()) return {""};
  return names.front() == "all" ? known : names;
}

Result<void> run_all(const BenchArguments& arguments, Program& program) {
  const MachineReport machine = inspect_machine();
  std::vector<EngineOptions> combinations;
  for (const std::string& kernels : expanded(arguments.settings.kernels, machine.kernels))
    for (const std::string& compute : expanded(arguments.settings.compute, machine.compute)) {
      EngineOptions options = arguments.engine;
      options.kernels = kernels, options.compute = compute;
      DG_TRY(check_engine_options(options));
      combinations.push_back(std::move(options));
    }
  ProgressLine progress;
  BenchOptions bench = arguments.bench;
  bench.progress = [&progress](std::string_view what) { progress.show(std::string(what) + " ..."); };
  bool first = true;
  for (const EngineOptions& options : combinations) {
    const auto measured = run_bench(options, bench);
    progress.clear();
    if (!measured) return Unexpected(as_model_error(measured.error()));
    if (!arguments.json && !first) program.out.write("\n");
    program.out.write(arguments.json ? json_line(bench_json(*measured)) : safe_for_terminal(bench_text(*measured)));
    if (program.out.failed()) return program.out.result();
    first = false;
  }
  return {};
}

}  // namespace

int run_bench_command(const BenchArguments& arguments, Program& program) {
  const auto done = run_all(arguments, program);
  return done ? finish_output(program.out) : report(done.error());
}

}  // namespace dgemma::cli
