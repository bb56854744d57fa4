// See server.h.
#include "server/server.h"

#include <system_error>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/limit_errors.h"
#include "dgemma/inspect.h"
#include "server/auth.h"
#include "server/http.h"
#include "server/log.h"
#include "server/service.h"

namespace dgemma::server {

struct Server::Impl {
  Impl(ServerOptions o, std::optional<TraceStore> traces)
      : options(std::move(o)),
        log(options.log_format),
        service(options, log, std::move(traces)),
        http(service, options.limits) {}

  Result<void> open(const EngineOptions& engine) {
    DG_TRY_ASSIGN(Engine opened, Engine::open(engine));
    const ModelInfo info = opened.info();
    DG_TRY(service.ready(std::move(opened)));
    log_ready(log, info, inspect_machine().memory_bytes);
    return {};
  }

  ServerOptions options;
  Log log;
  Service service;
  HttpServer http;
  std::thread loader, drainer;
  std::mutex mutex;
  int stops = 0;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  for (std::thread* thread : {&impl_->loader, &impl_->drainer})
    if (thread->joinable()) thread->join();
}

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options) {
  if (!is_loopback(options.host) && options.api_key.empty() && !options.insecure)
    return Unexpected(
        ErrorCode::kUsage,
        base::concat("--host: expected a loopback address without an API key, got ", base::quoted(options.host),
                     ". Give --api-key-file, or --insecure to let everybody in the network use it"));
  std::optional<TraceStore> traces;
  if (!options.trace_dir.empty()) {
    DG_TRY_ASSIGN(traces, TraceStore::open(options.trace_dir));
  }
  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>(std::move(options), std::move(traces))));
  DG_TRY(server->impl_->http.listen(server->impl_->options.host, server->impl_->options.port));
  return server;
}

int Server::port() const { return impl_->http.port(); }

void Server::load(EngineOptions engine, std::function<void(const Result<void>&)> loaded) {
  impl_->loader = std::thread([this, engine = std::move(engine), loaded = std::move(loaded)]() mutable {
    engine.progress = [this](const LoadProgress& progress) { impl_->service.loading(progress); };
    const auto outcome = base::with_limit_errors("the model", [&] { return impl_->open(engine); });
    if (!outcome) impl_->service.failed(outcome.error());
    loaded(outcome);
  });
}

void Server::wait_loaded() {
  if (impl_->loader.joinable()) impl_->loader.join();
}

void Server::serve() { impl_->http.serve(); }

void Server::stop() {
  const std::lock_guard lock(impl_->mutex);
  if (++impl_->stops > 1) return impl_->service.cancel_all();
  impl_->log.event("stopping", Json::object());
  impl_->service.refuse_answers();
  const auto end = [impl = impl_.get()] {
    impl->service.drain();
    impl->http.stop();
  };
  try {
    impl_->drainer = std::thread(end);
  } catch (const std::system_error&) {  // nobody can wait for the answers that run
    impl_->service.cancel_all();
    end();
  }
}

}  // namespace dgemma::server
