// Service: the routes. Requests that are safe to answer come in, the model answers them, responses go out.
//
// It holds the loaded model with its places and caches, or why there is none yet. Each endpoint is one function; what
// they read and write is in the request and sink files. Any number of connection threads. Test:
// tests/server/service_test.cc.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "dgemma/engine.h"
#include "server/answer_job.h"
#include "server/completion_request.h"
#include "server/http.h"
#include "server/log.h"
#include "server/messages_request.h"
#include "server/openai_sink.h"
#include "server/page_files.h"
#include "server/request_options.h"
#include "server/scheduler.h"
#include "server/session_pool.h"

namespace dgemma::server {

class Service : public HttpHandler {
 public:
  Service(const ServerOptions& options, const Log& log);
  ~Service() override;

  // What the loading thread says -------------------------------------------------------------------------------------
  void loading(const LoadProgress& progress);
  void ready(Engine engine);
  void failed(const Error& error);

  /// Takes no more answers and waits for those that are being made.
  void drain();
  /// Ends those early.
  void cancel_all();

  std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  HttpResponse handle(const HttpRequest& request, const Peer& peer) override;
  void add_headers(const HttpRequest& head, HttpResponse& response) override;
  HttpResponse error(int status, const std::string& path) override;
  void finished(const HttpRequest& head, int status, double seconds) override;

 private:
  struct Loaded;
  struct Route;
  static const std::vector<Route>& routes();
  const Route* find_route(const std::string& method, const std::string& path) const;

  static HttpResponse page(const PageFile& file, const HttpRequest& request);
  HttpResponse health(const HttpRequest& request, const Peer& peer);
  HttpResponse models(const HttpRequest& request, const Peer& peer);
  HttpResponse model(const HttpRequest& request, const Peer& peer);
  HttpResponse chat(const HttpRequest& request, const Peer& peer);
  HttpResponse completions(const HttpRequest& request, const Peer& peer);
  HttpResponse messages(const HttpRequest& request, const Peer& peer);
  HttpResponse count_tokens(const HttpRequest& request, const Peer& peer);
  HttpResponse tokenize(const HttpRequest& request, const Peer& peer);
  HttpResponse detokenize(const HttpRequest& request, const Peer& peer);

  static ResponseForm form_of(const Loaded& loaded, const AnswerRequest& answer, const ResponseOptions& response);
  static Result<void> make_prompt(const Loaded& loaded, ChatRequest& request);
  static Result<void> encode_raw(const Loaded& loaded, CompletionRequest& request);
  static Result<void> check_prompt(const Loaded& loaded, std::span<const int32_t> prompt);

  /// The loaded model; an error (503) while there is none.
  Result<std::shared_ptr<Loaded>> loaded() const;
  /// A request that was read, and how its answer is written.
  struct Asked {
    std::string id;    ///< of the response, in the log too
    std::string path;  ///< of the endpoint
    AnswerRequest answer;
    std::unique_ptr<AnswerSink> sink;
    std::shared_ptr<Outbox> outbox;  ///< what the sink writes to
    bool stream = false;
  };
  /// Waits for a place and for the answer; a stream goes out as it is made.
  HttpResponse run(const std::shared_ptr<Loaded>& loaded, Asked asked, const Peer& peer);
  HttpResponse no_route(const HttpRequest& head);
  HttpResponse refusal(const ApiError& error, const std::string& path) const;

  const ServerOptions& options_;
  const Log& log_;
  const int64_t started_;  ///< seconds since 1970
  mutable std::mutex mutex_;
  std::shared_ptr<Loaded> loaded_;
  std::optional<Error> failure_;
  LoadProgress progress_;
};

}  // namespace dgemma::server
