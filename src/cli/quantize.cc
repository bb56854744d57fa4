// dgemma quantize: packs a model into a file (declared in program.h).
#include "base/format.h"
#include "cli/program.h"
#include "cli/reports.h"

namespace dgemma::cli {

int run_quantize(const QuantizeArguments& arguments, Program& program) {
  const auto done = pack_model(arguments.quantize);
  if (!done) return report(done.error().code == ErrorCode::kNotFound ? as_model_error(done.error()) : done.error());
  const std::string& output = arguments.quantize.output_path;
  if (arguments.json)
    program.out.write(json_line({{"output", output},
                                 {"source_bytes", done->source_bytes},
                                 {"written_bytes", done->written_bytes},
                                 {"seconds", done->seconds}}));
  else
    program.out.write(base::concat(output, ": ", base::bytes_text(done->written_bytes), " from ",
                                   base::bytes_text(done->source_bytes), " in ", seconds_text(done->seconds), "\n"));
  return finish_output(program.out);
}

}  // namespace dgemma::cli
