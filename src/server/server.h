// Server: the service's life: listen, load, serve, drain, stop.
//
// It listens before the model is loaded, so that /health tells from the first moment. What the program `dgemma serve`
// is made of, without arguments and signals. Test: tests/server/service_test.cc.
#pragma once

#include <functional>
#include <memory>

#include "dgemma/options.h"
#include "dgemma/result.h"
#include "server/options.h"

namespace dgemma::server {

class Server {
 public:
  /// Listens. Errors: kUsage (beyond loopback without a key, an unusable trace folder), kIo (the address is taken).
  static Result<std::unique_ptr<Server>> listen(ServerOptions options);
  ~Server();

  int port() const;
  /// Loads the model on another thread; the outcome is told to `loaded` there.
  void load(EngineOptions engine, std::function<void(const Result<void>&)> loaded);
  /// Waits until load() has told its outcome.
  void wait_loaded();
  /// Serves until stop() is called and what was asked for is answered.
  void serve();
  /// The first call: no new answers, the running ones are finished. The second: they are ended. Any thread.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dgemma::server
