// See service.h: its life, what is refused before a body is read, and what it tells about itself.
#include "server/service.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

#include "base/format.h"
#include "base/memory.h"
#include "server/auth.h"
#include "server/openapi.h"

namespace dgemma::server {
namespace {

constexpr const char* kCsp =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

/// RFC 3339 in UTC.
std::string time_text(std::time_t seconds) {
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// A model for the clients of both APIs: each finds its own fields.
Json model_json(const ServedEngine& served, int64_t created) {
  const ServedModel& model = served.model;
  const SamplerValues& s = model.defaults;
  return {{"id", model.name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "dgemma"},
          {"type", "model"},
          {"display_name", model.name},
          {"created_at", time_text(created)},
          {"diffusion",
           {{"canvas_length", model.info.canvas_length},
            {"context_length", served.context()},
            {"vocab_size", model.info.vocab_size},
            {"max_denoising_steps", s.max_denoising_steps},
            {"t_min", s.t_min},
            {"t_max", s.t_max},
            {"entropy_bound", s.entropy_bound},
            {"stability_threshold", s.stability_threshold},
            {"confidence_threshold", s.confidence_threshold}}}};
}

}  // namespace

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HttpResponse json_response(const Json& json, int status) {
  HttpResponse response;
  response.status = status;
  response.body = json_text(json);
  return response;
}

struct Service::Route {
  const char* method;
  std::string path;  ///< a final '/' stands for anything below it
  bool open;         ///< needs no key
  HttpResponse (Service::*serve)(const HttpRequest&, const Peer&);
};

const std::vector<Service::Route>& Service::routes() {
  static const std::vector<Route> table = {
      {"GET", "/health", true, &Service::health},
      {"GET", "/openapi.json", true, &Service::openapi},
      {"GET", "/metrics", false, &Service::metrics},
      {"GET", "/v1/models", false, &Service::models},
      {"GET", "/v1/models/", false, &Service::model},
      {"GET", "/v1/traces/", false, &Service::trace},
      {"POST", "/v1/chat/completions", false, &Service::chat},
      {"POST", "/v1/completions", false, &Service::completions},
      {"POST", "/v1/messages", false, &Service::messages},
      {"POST", "/v1/messages/count_tokens", false, &Service::count_tokens},
      {"POST", "/tokenize", false, &Service::tokenize},
      {"POST", "/detokenize", false, &Service::detokenize},
  };
  return table;
}

const Service::Route* Service::find_route(const std::string& method, const std::string& path) {
  const std::string wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : routes()) {
    const bool below = route.path.ends_with('/');
    const bool fits = below ? path.starts_with(route.path) && path.size() > route.path.size() : path == route.path;
    if (fits && wanted == route.method) return &route;
  }
  return nullptr;
}

Service::Service(const ServerOptions& options, const Log& log, std::optional<TraceStore> traces)
    : options_(options), log_(log), traces_(std::move(traces)), started_(unix_time()) {}
Service::~Service() = default;

// Life ----------------------------------------------------------------------------------------------------------------

void Service::loading(const LoadProgress& progress) {
  const std::lock_guard lock(mutex_);
  progress_ = progress;
}

Result<void> Service::ready(Engine engine) {
  if (engine.tokenizer() == nullptr)
    return Unexpected(ErrorCode::kUnsupported, engine.info().path + ": expected a model with a tokenizer, got none");
  auto served = std::make_shared<ServedEngine>(std::move(engine), options_);
  DG_TRY(served->check_options(options_.session));
  const std::lock_guard lock(mutex_);
  engine_ = std::move(served);
  return {};
}

void Service::failed(const Error& error) {
  const std::lock_guard lock(mutex_);
  failure_ = error;
}

void Service::drain() {
  if (const auto served = engine()) served->scheduler.drain();
}

void Service::cancel_all() {
  if (const auto served = engine()) served->scheduler.cancel_all();
}

std::shared_ptr<ServedEngine> Service::engine() const {
  const std::lock_guard lock(mutex_);
  return engine_;
}

ApiError Service::not_ready() const {
  const std::lock_guard lock(mutex_);
  return {503, "unavailable",
          failure_ ? "the model could not be loaded. GET /health says why"
                   : "the model is still being loaded. GET /health says when it is ready"};
}

// Before the body -----------------------------------------------------------------------------------------------------

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
  if (head.method == "POST" && head.content_type != "application/json")
    return refusal({415, "unsupported_media_type",
                    base::concat("Content-Type: expected application/json, got ",
                                 head.content_type.empty() ? "none" : base::quoted(head.content_type),
                                 ". With curl: -H 'Content-Type: application/json'")},
                   head.path);
  return std::nullopt;
}

HttpResponse Service::error(int status, const std::string& path) {
  const auto made = [&]() -> ApiError {
    switch (status) {
      case 404:
        return {404, "not_found", "path: expected one that GET /openapi.json lists, got " + base::quoted(path)};
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
        return {415, "unsupported_media_type", "Content-Encoding: expected none, got one. Send the body as it is"};
      case 416:
        return {416, "range_not_satisfiable", "Range: expected none: responses are sent whole"};
      case 431:
        return {431, "headers_too_large",
                base::concat("headers: expected at most ", options_.limits.header_bytes, " bytes, ", kLongestHeader,
                             " in one of them, got more")};
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

HttpResponse Service::refusal(const ApiError& error, const std::string& path) {
  HttpResponse response =
      json_response(path.starts_with("/v1/messages") ? error.anthropic() : error.openai(), error.status);
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

// Requests ------------------------------------------------------------------------------------------------------------

HttpResponse Service::handle(const HttpRequest& request, const Peer& peer) {
  if (const Route* route = find_route(request.method, request.path)) return (this->*route->serve)(request, peer);
  if (const PageFile* file = find_page_file(request.path)) return page(*file, request);
  HttpResponse response;
  response.status = 204;  // a preflight: add_headers() is the answer
  return response;
}

HttpResponse Service::page(const PageFile& file, const HttpRequest& request) {
  HttpResponse response;
  response.content_type = file.mime;
  // Weak, as the bytes are others where they are sent packed.
  response.headers = {{"ETag", base::concat("W/", file.etag)}, {"Cache-Control", "no-cache"}};
  if (request.if_none_match.find(file.etag) != std::string::npos)  // one of a list, weak or not
    response.status = 304;
  else
    response.body = file.bytes;
  return response;
}

void Service::add_headers(const HttpRequest& request, HttpResponse& response) {
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Content-Security-Policy", kCsp);
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  if (options_.cors_origin.empty()) return;
  const bool for_all = options_.cors_origin == "*";
  if (!for_all) response.headers.emplace_back("Vary", "Origin");  // a cache must not give one origin's to another
  if (!for_all && options_.cors_origin != request.origin) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", options_.cors_origin);
  if (request.method != "OPTIONS") return;
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST");
  // Clients in browsers send many of their own (x-stainless-...); the star does not stand for Authorization.
  response.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, *");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
}

void Service::finished(const HttpRequest& head, int status, double seconds) {
  const bool known = find_route("GET", head.path) != nullptr || find_route("POST", head.path) != nullptr;
  const std::string endpoint = !known                                 ? "other"
                               : head.path.starts_with("/v1/models/") ? "/v1/models/"
                               : head.path.starts_with("/v1/traces/") ? "/v1/traces/"
                                                                      : head.path;
  metrics_.request(endpoint, status);
  log_.event(
      "request",
      {{"method", head.method}, {"path", head.path}, {"status", status}, {"ms", std::round(seconds * 1e4) / 10}});
}

// About the service ---------------------------------------------------------------------------------------------------

HttpResponse Service::health(const HttpRequest&, const Peer&) {
  const std::lock_guard lock(mutex_);
  if (draining_) return json_response({{"status", "stopping"}}, 503);
  if (engine_) return json_response({{"status", "ready"}, {"model", engine_->model.name}});
  if (failure_) return json_response({{"status", "failed"}, {"message", failure_->message}}, 503);
  return json_response(
      {{"status", "loading"}, {"done_bytes", progress_.done_bytes}, {"total_bytes", progress_.total_bytes}}, 503);
}

HttpResponse Service::models(const HttpRequest& request, const Peer&) {
  const auto served = engine();
  if (!served) return refusal(not_ready(), request.path);
  return json_response({{"object", "list"},
                        {"data", Json::array({model_json(*served, started_)})},
                        {"has_more", false},
                        {"first_id", served->model.name},
                        {"last_id", served->model.name}});
}

HttpResponse Service::model(const HttpRequest& request, const Peer&) {
  const auto served = engine();
  if (!served) return refusal(not_ready(), request.path);
  const std::string name = request.path.substr(std::string("/v1/models/").size());
  if (served->has_name(name)) return json_response(model_json(*served, started_));
  const std::string message =
      base::concat("model: expected ", base::quoted(served->model.name), ", got ", base::quoted(name));
  return refusal(ApiError(Error{ErrorCode::kNotFound, message}), request.path);
}

HttpResponse Service::metrics(const HttpRequest&, const Peer&) {
  Gauges now;
  now.resident_bytes = base::resident_bytes();
  if (const auto served = engine()) {
    const auto places = served->scheduler.stats();
    const auto caches = served->pool.stats();
    now.ready = !draining_;
    now.waiting = places.waiting, now.active = places.active;
    now.idle_sessions = caches.idle, now.cache_bytes = caches.bytes;
    now.weight_bytes = served->model.info.weight_bytes;
  }
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.text(now);
  return response;
}

HttpResponse Service::trace(const HttpRequest& request, const Peer&) {
  const std::string id = request.path.substr(std::string("/v1/traces/").size());
  auto text = traces_ ? traces_->read(id) : std::nullopt;
  if (!text)
    return refusal({404, "not_found",
                    traces_ ? "trace: expected the id of an answer that is finished, got " + base::quoted(id)
                            : "trace: expected a service that was started with --trace-dir"},
                   request.path);
  HttpResponse response;
  response.content_type = "application/jsonl";
  response.body = std::move(*text);
  return response;
}

HttpResponse Service::openapi(const HttpRequest&, const Peer&) {
  HttpResponse response;
  response.body = openapi_text();
  return response;
}

}  // namespace dgemma::server
