// See service.h.
#include "server/service.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "server/auth.h"
#include "server/chat_request.h"
#include "server/messages_sink.h"
#include "server/random_id.h"

namespace dgemma::server {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);  // between two looks whether the client is still there
constexpr auto kKeepAlive = std::chrono::seconds(15);  // of silence in a stream, for proxies in between
constexpr int kRetryAfter = 1;                         // seconds; a place is free after the shortest answer
constexpr const char* kCsp =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HttpResponse json_response(const Json& json, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = json_text(json);
  return response;
}

/// "pocket" of "models/pocket/", "model" of "dir/model.gguf".
std::string file_stem(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  path = path.substr(path.rfind('/') + 1);
  for (const std::string suffix : {".gguf", ".safetensors"})
    if (path.ends_with(suffix) && path.size() > suffix.size()) path.resize(path.size() - suffix.size());
  return path.empty() ? "model" : path;
}

ServedModel served_model(const ServerOptions& options, const ModelInfo& info) {
  ServedModel model;
  const std::string stem = file_stem(info.path);
  model.name = options.alias.empty() ? stem : options.alias;
  model.names = {model.name, stem};
  model.info = info;
  model.sampler = options.sampler;
  const auto pick = [](const auto& own, auto checkpoint) { return own.value_or(checkpoint); };
  model.defaults = {pick(options.sampler.max_denoising_steps, info.sampler.max_denoising_steps),
                    pick(options.sampler.t_min, info.sampler.t_min),
                    pick(options.sampler.t_max, info.sampler.t_max),
                    pick(options.sampler.entropy_bound, info.sampler.entropy_bound),
                    pick(options.sampler.stability_threshold, info.sampler.stability_threshold),
                    pick(options.sampler.confidence_threshold, info.sampler.confidence_threshold)};
  model.limits = options.limits;
  return model;
}

class JobObserver : public AnswerObserver {
 public:
  JobObserver(const Log& log, std::string id) : log_(log), id_(std::move(id)) {}
  void on_event(const Event&) override {}
  void on_end(const AnswerEnd& end) override {
    const AnswerUsage& usage = end.usage;
    log_.event("answer", {{"id", id_},
                          {"finish", openai_finish_reason(end.reason)},
                          {"prompt_tokens", usage.prompt_tokens},
                          {"cached_tokens", usage.cached_tokens},
                          {"completion_tokens", usage.completion_tokens},
                          {"canvases", usage.steps_per_canvas.size()},
                          {"steps", usage.denoising_steps},
                          {"queue_s", usage.queue_s},
                          {"seconds", usage.timing.total_s}});
  }
  void on_error(const ApiError& error) override {
    log_.event("answer", {{"id", id_}, {"error", error.code}, {"status", error.status}});
  }

 private:
  const Log& log_;
  std::string id_;
};

}  // namespace

/// A model with its places. The order matters: workers end before what they use.
struct Service::Loaded {
  Loaded(Engine e, const ServerOptions& options)
      : engine(std::move(e)),
        model(served_model(options, engine.info())),
        context(options.session.context),
        pool(engine, options.session, options.cache_bytes),
        scheduler(options.parallel, options.max_queue) {}
  Engine engine;
  ServedModel model;
  int context;  ///< tokens; 0: the model's
  SessionPool pool;
  Scheduler scheduler;
};

struct Service::Route {
  const char* method;
  std::string path;  ///< a final '/' stands for anything below it
  bool open;         ///< needs no key
  HttpResponse (Service::*serve)(const HttpRequest&, const Peer&);
};

const std::vector<Service::Route>& Service::routes() {
  static const std::vector<Route> table = {
      {"GET", "/health", true, &Service::health},
      {"GET", "/v1/models", false, &Service::models},
      {"GET", "/v1/models/", false, &Service::model},
      {"POST", "/v1/chat/completions", false, &Service::chat},
      {"POST", "/v1/completions", false, &Service::completions},
      {"POST", "/v1/messages", false, &Service::messages},
      {"POST", "/v1/messages/count_tokens", false, &Service::count_tokens},
      {"POST", "/tokenize", false, &Service::tokenize},
      {"POST", "/detokenize", false, &Service::detokenize},
  };
  return table;
}

Service::Service(const ServerOptions& options, const Log& log) : options_(options), log_(log), started_(unix_time()) {}
Service::~Service() = default;

// Life -------------------------------------------------------------------------------------------------------------

void Service::loading(const LoadProgress& progress) {
  const std::lock_guard lock(mutex_);
  progress_ = progress;
}

void Service::ready(Engine engine) {
  if (engine.tokenizer() == nullptr)
    return failed({ErrorCode::kUnsupported, engine.info().path + ": expected a model with a tokenizer, got none"});
  auto loaded = std::make_shared<Loaded>(std::move(engine), options_);
  const std::lock_guard lock(mutex_);
  loaded_ = std::move(loaded);
}

void Service::failed(const Error& error) {
  const std::lock_guard lock(mutex_);
  failure_ = error;
}

void Service::drain() {
  if (const auto now = loaded()) (*now)->scheduler.drain();
}

void Service::cancel_all() {
  if (const auto now = loaded()) (*now)->scheduler.cancel_all();
}

Result<std::shared_ptr<Service::Loaded>> Service::loaded() const {
  const std::lock_guard lock(mutex_);
  if (loaded_) return loaded_;
  if (failure_) return Unexpected(ErrorCode::kInternal, "the model could not be loaded: " + failure_->message);
  return Unexpected(ErrorCode::kOutOfMemory, "the model is still being loaded. GET /health says when it is ready");
}

// Before the body -----------------------------------------------------------------------------------------------------

const Service::Route* Service::find_route(const std::string& method, const std::string& path) const {
  const std::string wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : routes()) {
    const bool below = route.path.ends_with('/') && route.path.size() > 1;
    if (wanted == route.method &&
        (below ? path.starts_with(route.path) && path.size() > route.path.size() : path == route.path))
      return &route;
  }
  return nullptr;
}

HttpResponse Service::no_route(const HttpRequest& head) {
  for (const char* method : {"GET", "POST"}) {
    const bool page = method[0] == 'G' && find_page_file(head.path) != nullptr;
    if (!page && find_route(method, head.path) == nullptr) continue;
    HttpResponse response = error(405, head.path);
    response.headers.emplace_back("Allow", method);
    return response;
  }
  return error(404, head.path);
}

std::optional<HttpResponse> Service::refuse(const HttpRequest& head) {
  if (head.method == "OPTIONS" && !options_.cors_origin.empty()) return std::nullopt;
  const Route* route = find_route(head.method, head.path);
  const bool page = (head.method == "GET" || head.method == "HEAD") && find_page_file(head.path) != nullptr;
  if (route == nullptr && !page) return no_route(head);
  // A page of another site must not reach a service without a key through a name that it points at this machine.
  const std::string host = host_name(head.host);
  const bool open_to_all = options_.insecure || !options_.api_key.empty() || head.host.empty();
  if (!open_to_all && !is_loopback(host) && host != options_.host)
    return refusal({403, "wrong_host", "Host: expected localhost, got " + base::quoted(host)}, head.path);
  const bool needs_key = route != nullptr && !route->open && !options_.api_key.empty();
  const std::string key = head.api_key.empty() ? bearer_key(head.authorization) : head.api_key;
  if (needs_key && !same_secret(key, options_.api_key))
    return refusal({401, "invalid_api_key",
                    base::concat("Authorization: expected the service's API key (Bearer KEY, or x-api-key), got ",
                                 key.empty() ? "none" : "another one")},
                   head.path);
  // Also why no other site's page can post here: a browser asks first for this type, and CORS is off.
  if (head.method == "POST" && !head.content_type.starts_with("application/json")) return error(415, head.path);
  return std::nullopt;
}

HttpResponse Service::error(int status, const std::string& path) {
  const auto made = [&]() -> ApiError {
    switch (status) {
      case 404:
        return {404, "not_found", "path: expected an endpoint of docs/SERVER.md, got " + base::quoted(path)};
      case 405:
        return {405, "method_not_allowed", "method: expected the one that Allow names"};
      case 408:
        return {408, "timeout",
                base::concat("the request took longer than ", options_.limits.request_s, " s to arrive")};
      case 411:
        return {411, "length_required", "Content-Length: expected the body's size, got none"};
      case 413:
        return {413, "body_too_large",
                base::concat("body: expected at most ", options_.limits.body_bytes, " bytes, got more")};
      case 414:
        return {414, "path_too_long", "path: expected a shorter one"};
      case 415:
        return {415, "unsupported_media_type", "Content-Type: expected application/json without Content-Encoding"};
      case 431:
        return {431, "headers_too_large",
                base::concat("headers: expected at most ", options_.limits.header_bytes, " bytes, got more")};
      case 503:
        return {503, "too_many_connections", "all connections are taken. Try again later"};
      case 400:
        return {400, "bad_request", "request: expected HTTP/1.1 with plain framing, got something else"};
      default:
        return {status, status >= 500 ? "internal" : "bad_request", "the request failed"};
    }
  }();
  return refusal(made, path);
}

HttpResponse Service::refusal(const ApiError& error, const std::string& path) const {
  HttpResponse response =
      json_response(path.starts_with("/v1/messages") ? error.anthropic() : error.openai(), error.status);
  if (error.status == 429 || error.status == 503)
    response.headers.emplace_back("Retry-After", std::to_string(kRetryAfter));
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

// Requests ------------------------------------------------------------------------------------------------------------

HttpResponse Service::handle(const HttpRequest& request, const Peer& peer) {
  HttpResponse response;
  response.status = 204;  // a preflight: add_headers() is the answer
  if (const Route* route = find_route(request.method, request.path)) return (this->*route->serve)(request, peer);
  if (const PageFile* file = find_page_file(request.path)) return page(*file, request);
  return response;
}

HttpResponse Service::page(const PageFile& file, const HttpRequest& request) {
  HttpResponse response;
  response.content_type = file.mime;
  response.headers = {{"ETag", std::string(file.etag)}, {"Cache-Control", "no-cache"}};
  if (request.if_none_match == file.etag)
    response.status = 304;
  else
    response.body = file.bytes;
  return response;
}

void Service::add_headers(const HttpRequest& request, HttpResponse& response) {
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Content-Security-Policy", kCsp);
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  if (options_.cors_origin.empty() || (options_.cors_origin != "*" && options_.cors_origin != request.origin)) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", options_.cors_origin);
  response.headers.emplace_back("Vary", "Origin");
  if (request.method != "OPTIONS") return;
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                "Authorization, Content-Type, x-api-key, anthropic-version");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
}

void Service::finished(const HttpRequest& head, int status, double seconds) {
  log_.event(
      "request",
      {{"method", head.method}, {"path", head.path}, {"status", status}, {"ms", std::round(seconds * 1e4) / 10}});
}

HttpResponse Service::health(const HttpRequest&, const Peer&) {
  const std::lock_guard lock(mutex_);
  if (loaded_) return json_response({{"status", "ready"}, {"model", loaded_->model.name}});
  if (failure_) return json_response({{"status", "failed"}, {"message", failure_->message}}, 503);
  return json_response(
      {{"status", "loading"}, {"done_bytes", progress_.done_bytes}, {"total_bytes", progress_.total_bytes}}, 503);
}

namespace {

Json model_json(const ServedModel& model, int64_t created, int context) {
  const SamplerValues& s = model.defaults;
  return {{"id", model.name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "dgemma"},
          {"diffusion",
           {{"canvas_length", model.info.canvas_length},
            {"context_length", context == 0 ? model.info.context_length : context},
            {"vocab_size", model.info.vocab_size},
            {"max_denoising_steps", s.max_denoising_steps},
            {"t_min", s.t_min},
            {"t_max", s.t_max},
            {"entropy_bound", s.entropy_bound},
            {"stability_threshold", s.stability_threshold},
            {"confidence_threshold", s.confidence_threshold}}}};
}

}  // namespace

HttpResponse Service::models(const HttpRequest& request, const Peer&) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  return json_response(
      {{"object", "list"}, {"data", Json::array({model_json((*now)->model, started_, options_.session.context)})}});
}

HttpResponse Service::model(const HttpRequest& request, const Peer&) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const ServedModel& model = (*now)->model;
  const std::string name = request.path.substr(std::string("/v1/models/").size());
  if (std::find(model.names.begin(), model.names.end(), name) == model.names.end())
    return refusal(ApiError(Error{ErrorCode::kNotFound,
                                  "model: expected " + base::quoted(model.name) + ", got " + base::quoted(name)}),
                   request.path);
  return json_response(model_json(model, started_, options_.session.context));
}

ResponseForm Service::form_of(const Loaded& loaded, const AnswerRequest& answer, const ResponseOptions& response) {
  const ModelInfo& info = loaded.model.info;
  ResponseForm form;
  form.id = random_id(), form.created = unix_time(), form.model = loaded.model.name;
  form.fingerprint = "dgemma-" + info.kernels + "-" + info.compute;
  form.stream = response.stream, form.include_usage = response.include_usage;
  form.logprobs = answer.logprobs, form.drafts = answer.drafts && response.stream;
  form.tokenizer = loaded.engine.tokenizer();
  return form;
}

/// Turns what a chat request says into the prompt's ids.
Result<void> Service::make_prompt(const Loaded& loaded, ChatRequest& request) {
  AnswerRequest& answer = request.answer;
  DG_TRY_ASSIGN(answer.prompt, loaded.engine.encode_chat(request.chat));
  if (!request.forced_call.empty()) {
    const Tokenizer& tokenizer = *loaded.engine.tokenizer();
    answer.forced = tokenizer.encode("<|tool_call>");
    for (const int32_t id : tokenizer.encode_plain(request.forced_call)) answer.forced.push_back(id);
    answer.prompt.insert(answer.prompt.end(), answer.forced.begin(), answer.forced.end());
  }
  return check_prompt(loaded, answer.prompt);
}

/// What would fail once the answer has a place is said before it waits for one.
Result<void> Service::check_prompt(const Loaded& loaded, std::span<const int32_t> prompt) {
  const int context = loaded.context == 0 ? loaded.model.info.context_length : loaded.context;
  const int most = context - loaded.model.info.canvas_length;
  if (prompt.size() <= static_cast<size_t>(std::max(0, most))) return {};
  return Unexpected(
      ErrorCode::kContextFull,
      base::concat("messages: expected a prompt of at most ", most, " tokens, which leaves a canvas of ",
                   loaded.model.info.canvas_length, " in a context of ", context, ", got ", prompt.size()));
}

HttpResponse Service::chat(const HttpRequest& request, const Peer& peer) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const Loaded& loaded = **now;
  auto made = [&]() -> Result<ChatRequest> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    DG_TRY_ASSIGN(ChatRequest chat, parse_chat_request(body, loaded.model));
    DG_TRY(make_prompt(loaded, chat));
    return chat;
  }();
  if (!made) return refusal(ApiError(made.error()), request.path);
  const ResponseForm form = form_of(loaded, made->answer, made->response);
  const auto outbox = std::make_shared<Outbox>(options_.limits.backlog_bytes);
  return run(*now, {form.id, request.path, std::move(made->answer), make_chat_sink(form, outbox), outbox, form.stream},
             peer);
}

HttpResponse Service::completions(const HttpRequest& request, const Peer& peer) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const Loaded& loaded = **now;
  auto made = [&]() -> Result<CompletionRequest> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    DG_TRY_ASSIGN(CompletionRequest completion, parse_completion_request(body, loaded.model));
    DG_TRY(encode_raw(loaded, completion));
    return completion;
  }();
  if (!made) return refusal(ApiError(made.error()), request.path);
  const ResponseForm form = form_of(loaded, made->answer, made->response);
  const auto outbox = std::make_shared<Outbox>(options_.limits.backlog_bytes);
  return run(*now,
             {form.id, request.path, std::move(made->answer), make_completion_sink(form, outbox), outbox, form.stream},
             peer);
}

/// Text gets a bos token in front, as `dgemma generate --raw` gives it; ids are taken as they are.
Result<void> Service::encode_raw(const Loaded& loaded, CompletionRequest& request) {
  std::vector<int32_t>& ids = request.answer.prompt;
  ids = std::move(request.ids);
  if (ids.empty()) {
    const Tokenizer& tokenizer = *loaded.engine.tokenizer();
    ids = tokenizer.encode(request.text);
    if (tokenizer.bos_id() >= 0 && (ids.empty() || ids.front() != tokenizer.bos_id()))
      ids.insert(ids.begin(), tokenizer.bos_id());
  }
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] >= loaded.model.info.vocab_size)
      return Unexpected(ErrorCode::kInvalidRequest, base::concat("prompt[", i, "]: expected an id from 0 to ",
                                                                 loaded.model.info.vocab_size - 1, ", got ", ids[i]));
  return check_prompt(loaded, ids);
}

HttpResponse Service::messages(const HttpRequest& request, const Peer& peer) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const Loaded& loaded = **now;
  auto made = [&]() -> Result<ChatRequest> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    DG_TRY_ASSIGN(ChatRequest chat, parse_messages_request(body, loaded.model));
    DG_TRY(make_prompt(loaded, chat));
    return chat;
  }();
  if (!made) return refusal(ApiError(made.error()), request.path);
  const ResponseForm form = form_of(loaded, made->answer, made->response);
  const auto outbox = std::make_shared<Outbox>(options_.limits.backlog_bytes);
  return run(*now,
             {form.id, request.path, std::move(made->answer), make_messages_sink(form, outbox), outbox, form.stream},
             peer);
}

HttpResponse Service::count_tokens(const HttpRequest& request, const Peer&) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const auto count = [&]() -> Result<size_t> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    DG_TRY_ASSIGN(ChatRequest chat, parse_messages_request(body, (*now)->model, true));
    DG_TRY_ASSIGN(const std::vector<int32_t> ids, (*now)->engine.encode_chat(chat.chat));
    return ids.size();
  }();
  if (!count) return refusal(ApiError(count.error()), request.path);
  return json_response({{"input_tokens", *count}});
}

HttpResponse Service::tokenize(const HttpRequest& request, const Peer&) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const auto ids = [&]() -> Result<std::vector<int32_t>> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    Fault fault;
    Fields fields(body, "", fault);
    const auto text = fields.text("content");
    if (!text) fault.expected("content", "a string", fields.find("content"));
    const bool plain = fields.flag("plain").value_or(false), bos = fields.flag("add_bos").value_or(false);
    fields.finish();
    DG_TRY(fault.result());
    const Tokenizer& tokenizer = *(*now)->engine.tokenizer();
    std::vector<int32_t> list = plain ? tokenizer.encode_plain(*text) : tokenizer.encode(*text);
    if (bos && tokenizer.bos_id() >= 0) list.insert(list.begin(), tokenizer.bos_id());
    return list;
  }();
  if (!ids) return refusal(ApiError(ids.error()), request.path);
  return json_response({{"tokens", *ids}, {"count", ids->size()}});
}

HttpResponse Service::detokenize(const HttpRequest& request, const Peer&) {
  const auto now = loaded();
  if (!now) return refusal(ApiError(now.error()), request.path);
  const auto text = [&]() -> Result<std::string> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    Fault fault;
    Fields fields(body, "", fault);
    const Json* tokens = fields.array("tokens");
    if (tokens == nullptr) fault.expected("tokens", "an array of token ids", nullptr);
    std::vector<int32_t> ids;
    for (size_t i = 0; tokens != nullptr && i < tokens->size(); ++i) {
      const Json& id = (*tokens)[i];
      if (id.is_number_unsigned() && id.get<uint64_t>() <= INT32_MAX)
        ids.push_back(id.get<int32_t>());
      else
        fault.expected(base::concat("tokens[", i, "]"), "a token id", &id);
    }
    const bool keep = fields.flag("keep_control").value_or(true);
    fields.finish();
    DG_TRY(fault.result());
    return (*now)->engine.tokenizer()->decode(ids, keep);
  }();
  if (!text) return refusal(ApiError(text.error()), request.path);
  return json_response({{"content", *text}});
}

HttpResponse Service::run(const std::shared_ptr<Loaded>& loaded, Asked asked, const Peer& peer) {
  const std::shared_ptr<Outbox> outbox = asked.outbox;
  const std::shared_ptr<Job> job =
      std::make_shared<AnswerJob>(loaded->engine, loaded->pool, std::move(asked.answer), std::move(asked.sink),
                                  std::make_unique<JobObserver>(log_, asked.id));
  if (const auto taken = loaded->scheduler.submit(job); !taken) return refusal(ApiError(taken.error()), asked.path);
  HttpResponse response;
  std::optional<int> status;
  while (!(status = outbox->wait_status(kLook))) {
    if (!peer.gone()) continue;
    loaded->scheduler.withdraw(job);
    response.status = 499;  // nobody hears it but the log
    return response;
  }
  response.status = *status;
  if (asked.stream && *status == 200) {
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.stream = [loaded, job, outbox](BodyWriter& writer) {
      auto last = std::chrono::steady_clock::now();
      while (true) {
        std::string bytes;
        const Outbox::Got got = outbox->read(bytes, kLook);
        if (got == Outbox::Got::kEnd) return true;
        if (bytes.empty() && std::chrono::steady_clock::now() - last > kKeepAlive) bytes = ": waiting\n\n";
        if (!bytes.empty()) last = std::chrono::steady_clock::now();
        if (bytes.empty() ? !writer.gone() : writer.write(bytes)) continue;
        loaded->scheduler.withdraw(job);
        return false;
      }
    };
    return response;
  }
  while (outbox->read(response.body, kLook) != Outbox::Got::kEnd) {
    if (!peer.gone()) continue;
    loaded->scheduler.withdraw(job);
    response.status = 499;
    break;
  }
  return response;
}

}  // namespace dgemma::server
