// dgemma inspect and dgemma info: reports as aligned text or as JSON (declared in program.h, shapes in reports.h).
#include "dgemma/inspect.h"
#include "cli/program.h"
#include "cli/reports.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {

int run_inspect(const InspectArguments& arguments, Program& program) {
  const auto report_result = inspect_model(arguments.model);
  if (!report_result) return report(as_model_error(report_result.error()));
  const FileReport& file = *report_result;
  program.out.write(arguments.json ? json_line(file_json(file)) : safe_for_terminal(file_text(file)));
  if (const int status = finish_output(program.out); status != 0 || file.problems.empty()) return status;
  return report({ErrorCode::kModelFile, file.problems.front()});
}

int run_info(const InfoArguments& arguments, Program& program) {
  const MachineReport machine = inspect_machine();
  program.out.write(arguments.json ? json_line(machine_json(machine)) : machine_text(machine));
  return finish_output(program.out);
}

}  // namespace dgemma::cli
