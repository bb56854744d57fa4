// See server.h.
#include "server/server.h"

#include <thread>
#include <utility>

#include "base/format.h"
#include "server/auth.h"
#include "server/http.h"
#include "server/log.h"
#include "server/service.h"

namespace dgemma::server {

struct Server::Impl {
  explicit Impl(ServerOptions o)
      : options(std::move(o)), log(options.log_format), service(options, log), http(service, options.limits) {}

  ServerOptions options;
  Log log;
  Service service;
  HttpServer http;
  std::thread loader, drainer;
  std::mutex mutex;
  int stops = 0;
};

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

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
  std::unique_ptr<Server> server(new Server(std::move(options)));
  DG_TRY(server->impl_->http.listen(server->impl_->options.host, server->impl_->options.port));
  return server;
}

int Server::port() const { return impl_->http.port(); }

void Server::load(EngineOptions engine, std::function<void(const Result<void>&)> loaded) {
  impl_->loader = std::thread([this, engine = std::move(engine), loaded = std::move(loaded)]() mutable {
    engine.progress = [this](const LoadProgress& progress) { impl_->service.loading(progress); };
    auto opened = Engine::open(engine);
    if (opened) {
      const ModelInfo& info = opened->info();
      impl_->log.event("ready", {{"path", info.path},
                                 {"weight_bytes", info.weight_bytes},
                                 {"threads", info.threads},
                                 {"kernels", info.kernels},
                                 {"compute", info.compute},
                                 {"load_s", info.load_s}});
      impl_->service.ready(std::move(*opened));
      loaded({});
    } else {
      impl_->service.failed(opened.error());
      loaded(Unexpected(opened.error()));
    }
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
  impl_->drainer = std::thread([impl = impl_.get()] {
    impl->service.drain();
    impl->http.stop();
  });
}

}  // namespace dgemma::server
