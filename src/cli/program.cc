// See program.h.
#include "cli/program.h"

#include <unistd.h>

#include "base/limit_errors.h"

namespace dgemma::cli {
namespace {

struct Run {
  Program& program;
  int operator()(const ShowText& show) const {
    program.out.write(show.text);
    return finish_output(program.out);
  }
  int operator()(const GenerateArguments& arguments) const { return run_generate(arguments, program); }
  int operator()(const ChatArguments& arguments) const { return run_chat(arguments, program); }
  int operator()(const ServeArguments& arguments) const { return run_serve(arguments, program); }
  int operator()(const BenchArguments& arguments) const { return run_bench_command(arguments, program); }
  int operator()(const CompareArguments& arguments) const { return run_compare(arguments, program); }
  int operator()(const InspectArguments& arguments) const { return run_inspect(arguments, program); }
  int operator()(const QuantizeArguments& arguments) const { return run_quantize(arguments, program); }
  int operator()(const InfoArguments& arguments) const { return run_info(arguments, program); }
  int operator()(const TokenizeArguments& arguments) const { return run_tokenize(arguments, program); }
  int operator()(const RenderArguments& arguments) const { return run_render(arguments, program); }
};

int run_command(const std::vector<std::string>& arguments) {
  const Environment environment = read_environment();
  auto invocation = parse_arguments(arguments, environment);
  if (!invocation) return report(invocation.error());
  Signals signals;
  Program program{environment, Output(STDOUT_FILENO), signals};
  return std::visit(Run{program}, *invocation);
}

}  // namespace

int finish_output(const Output& out) {
  const auto written = out.result();
  return written ? 0 : report(written.error());
}

int run_program(const std::vector<std::string>& arguments) {
  occupy_standard_descriptors();
  set_up_locale();
  const auto status =
      base::with_limit_errors("the command", [&arguments] { return Result<int>(run_command(arguments)); });
  return status ? *status : report(status.error());
}

}  // namespace dgemma::cli
