// Service: the routes. Requests that are safe to answer come in, the model answers them, responses go out.
//
// It holds the served engine, or why there is none yet. service.cc has its life, what is refused before a body is read,
// and the endpoints that tell about the service; service_answers.cc has those that the model answers. Any number of
// connection threads. Test: tests/server/service_test.cc, service_clients_test.cc.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/answer_job.h"
#include "server/http.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/openai_sink.h"
#include "server/page_files.h"
#include "server/served_engine.h"
#include "server/trace_store.h"

namespace dgemma::server {

class Service : public HttpHandler {
 public:
  /// `traces`: where the traces of answers go, or none.
  Service(const ServerOptions& options, const Log& log, std::optional<TraceStore> traces);
  ~Service() override;

  // What the loading thread says -------------------------------------------------------------------------------------
  void loading(const LoadProgress& progress);
  /// Errors: kUnsupported (a model without a tokenizer cannot be served), kUsage and kOutOfMemory (options with which
  /// this model could answer nothing).
  Result<void> ready(Engine engine);
  void failed(const Error& error);

  /// From now on no answers are begun; a request for one gets 503.
  void refuse_answers() { draining_ = true; }
  /// Waits for the answers that are being made or wait for a place.
  void drain();
  /// Ends those early.
  void cancel_all();

  std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  HttpResponse handle(const HttpRequest& request, const Peer& peer) override;
  void add_headers(const HttpRequest& head, HttpResponse& response) override;
  HttpResponse error(int status, const std::string& path) override;
  void finished(const HttpRequest& head, int status, double seconds) override;

 private:
  struct Route;
  static const std::vector<Route>& routes();
  static const Route* find_route(const std::string& method, const std::string& path);

  static HttpResponse page(const PageFile& file, const HttpRequest& request);
  HttpResponse health(const HttpRequest& request, const Peer& peer);
  HttpResponse models(const HttpRequest& request, const Peer& peer);
  HttpResponse model(const HttpRequest& request, const Peer& peer);
  HttpResponse metrics(const HttpRequest& request, const Peer& peer);
  HttpResponse trace(const HttpRequest& request, const Peer& peer);
  HttpResponse openapi(const HttpRequest& request, const Peer& peer);
  HttpResponse chat(const HttpRequest& request, const Peer& peer);
  HttpResponse completions(const HttpRequest& request, const Peer& peer);
  HttpResponse messages(const HttpRequest& request, const Peer& peer);
  HttpResponse count_tokens(const HttpRequest& request, const Peer& peer);
  HttpResponse tokenize(const HttpRequest& request, const Peer& peer);
  HttpResponse detokenize(const HttpRequest& request, const Peer& peer);

  /// The served engine, or null while there is none; then not_ready() says why.
  std::shared_ptr<ServedEngine> engine() const;
  ApiError not_ready() const;
  /// A request that was read, and how its answer is written.
  struct Asked {
    std::string id;    ///< of the response, in the log too
    std::string path;  ///< of the endpoint
    AnswerRequest answer;
    std::unique_ptr<AnswerSink> sink;
    std::shared_ptr<Outbox> outbox;  ///< what the sink writes to
    bool stream = false;
  };
  template <class Parse, class MakeSink>
  HttpResponse answer(const HttpRequest& request, const Peer& peer, const Parse& parse, const MakeSink& make_sink);
  /// Waits for a place and for the answer; a stream goes out as it is made.
  HttpResponse run(const std::shared_ptr<ServedEngine>& served, Asked asked, const Peer& peer);
  HttpResponse no_route(const HttpRequest& head);
  static HttpResponse refusal(const ApiError& error, const std::string& path);

  const ServerOptions& options_;
  const Log& log_;
  std::optional<TraceStore> traces_;
  const int64_t started_;  ///< seconds since 1970
  Metrics metrics_;
  std::atomic<bool> draining_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<ServedEngine> engine_;
  std::optional<Error> failure_;
  LoadProgress progress_;
};

/// A response with this object as its body.
HttpResponse json_response(const Json& json, int status = 200);
/// Seconds since 1970.
int64_t unix_time();

}  // namespace dgemma::server
