// dgemma serve: the HTTP service (declared in program.h); the service itself is src/server.
//
// What can be known before listening is checked before: the key file, and the model's headers. Standard output gets one
// line, the address, once it listens; everything else is the log on standard error. Test: tests/cli/serve_test.sh.
#include <unistd.h>

#include <atomic>
#include <utility>

#include "base/format.h"
#include "cli/program.h"
#include "dgemma/inspect.h"
#include "server/auth.h"
#include "server/server.h"

namespace dgemma::cli {
namespace {

/// The key is the file's first line.
Result<std::string> read_key(const std::string& file) {
  DG_TRY_ASSIGN(std::string key, read_input(file));
  key.resize(std::min(key.size(), key.find_first_of("\r\n")));
  if (server::is_key(key)) return key;
  return Unexpected(ErrorCode::kUsage,
                    base::concat("--api-key-file: ", file, ": expected visible ASCII characters, got ",
                                 key.empty() ? "an empty line" : "others too"));
}

/// Fails before anything listens where the model's headers say already that it cannot be served.
Result<void> check_model(const std::string& path) {
  const auto report = inspect_model(path);
  if (!report) return Unexpected(as_model_error(report.error()));
  if (!report->problems.empty()) return Unexpected(ErrorCode::kModelFile, report->problems.front());
  if (!report->tokenizer.empty()) return {};
  return Unexpected(ErrorCode::kUnsupported, path + ": expected a model with a tokenizer, got one without");
}

/// Serves until a signal; the exit status.
int serve_until_stopped(server::Server& server, const EngineOptions& engine, Program& program) {
  std::atomic<int> ends{0}, status{0};
  const auto end = [&server, &ends] {
    if (++ends > 2) ::_exit(exit_status(ErrorCode::kCancelled));
    server.stop();
  };
  const InterruptScope interrupt(program.signals, end);
  program.signals.on_terminate(end);
  server.load(engine, [&server, &status](const Result<void>& loaded) {
    if (loaded) return;
    status = report(as_model_error(loaded.error()));              // and /health says it, until somebody looks
    if (loaded.error().code == ErrorCode::kUsage) server.stop();  // whoever typed the options does
  });
  server.serve();
  program.signals.on_terminate({});
  server.wait_loaded();
  return status;
}

}  // namespace

int run_serve(const ServeArguments& arguments, Program& program) {
  server::ServerOptions options = arguments.server;
  if (arguments.api_key_file) {
    auto key = read_key(*arguments.api_key_file);
    if (!key) return report(key.error());
    options.api_key = std::move(*key);
  }
  if (const auto good = check_model(arguments.engine.model_path); !good) return report(good.error());
  const auto server = server::Server::listen(std::move(options));
  if (!server) return report(server.error());
  const std::string& host = arguments.server.host;
  const bool v6 = host.find(':') != host.npos;
  program.out.write(base::concat("http://", v6 ? "[" + host + "]" : host, ":", (*server)->port(), "\n"));
  const int status = serve_until_stopped(**server, arguments.engine, program);
  return status != 0 ? status : finish_output(program.out);
}

}  // namespace dgemma::cli
