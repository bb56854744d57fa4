// See program.h.
#include "cli/program.h"

#include <unistd.h>

#include <new>
#include <system_error>

#include "base/format.h"

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
  try {  // what the standard library throws where the system has no more of something; nothing here does
    return run_command(arguments);
  } catch (const std::bad_alloc&) {
    return report({ErrorCode::kOutOfMemory,
                   "memory: expected what the command needs, got less. Close other programs, or raise ulimit -v"});
  } catch (const std::system_error& error) {
    return report({ErrorCode::kBusy, base::concat("system: expected a thread, got: ", error.code().message(),
                                                  ". Close other programs, or raise ulimit -u and -v")});
  }
}

}  // namespace dgemma::cli
