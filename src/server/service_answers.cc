// The endpoints that the model answers, and those of its tokenizer (declared in service.h).
//
// Each is its request file, its sink, and what they share: make the prompt, wait for a place, send what comes.
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/format.h"
#include "dgemma/trace.h"
#include "server/messages_request.h"
#include "server/messages_sink.h"
#include "server/random_id.h"
#include "server/service.h"

namespace dgemma::server {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);  // between two looks whether the client is still there
constexpr auto kProbe = std::chrono::seconds(1);       // of silence in one whose client may have left
constexpr const char* kComment = ": waiting\n\n";

/// Tells the log, the metrics and the trace how an answer went.
class Observer : public AnswerObserver {
 public:
  Observer(const Log& log, Metrics& metrics, std::string id, std::optional<TraceWriter> trace)
      : log_(log), metrics_(metrics), id_(std::move(id)), trace_(std::move(trace)) {}

  void on_event(const Event& event) override {
    if (trace_) trace_->on_event(event);
  }
  void on_end(const AnswerEnd& end) override {
    metrics_.answer(end);
    ends_.push_back(end);
  }
  void on_told() override {
    for (const AnswerEnd& end : ends_) log(end);
  }
  void on_done() override {
    if (!trace_) return;
    if (const auto kept = trace_->finish(); !kept) log_.event("trace", {{"id", id_}, {"error", kept.error().message}});
  }
  void on_error(const ApiError& error) override {
    metrics_.failure(error.code);
    log_.event("answer", {{"id", id_}, {"error", error.code}, {"status", error.status}});
  }

 private:
  void log(const AnswerEnd& end) const {
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

  const Log& log_;
  Metrics& metrics_;
  std::string id_;
  std::optional<TraceWriter> trace_;
  std::vector<AnswerEnd> ends_;  // to be logged
};

ResponseForm form_of(const ServedEngine& served, const AnswerRequest& answer, const ResponseOptions& response) {
  ResponseForm form;
  form.id = random_id(), form.created = unix_time(), form.model = served.model.name;
  form.fingerprint = "dgemma-" + served.model.info.kernels + "-" + served.model.info.compute;
  form.stream = response.stream, form.include_usage = response.include_usage;
  form.logprobs = answer.logprobs, form.drafts = answer.drafts && response.stream;
  form.tokenizer = &served.tokenizer();
  return form;
}

/// A job's place or its turn in the queue, free again when nobody waits for the answer any more. After the answer that
/// changes nothing.
class Place {
 public:
  Place(std::shared_ptr<ServedEngine> served, std::shared_ptr<Job> job)
      : served_(std::move(served)), job_(std::move(job)) {}
  ~Place() { served_->scheduler.withdraw(job_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  std::shared_ptr<ServedEngine> served_;
  std::shared_ptr<Job> job_;
};

/// Sends a stream as it is made; false when the client left. One that has closed its sending side is sent a comment at
/// once, which it answers with a reset where it left.
bool send_stream(Outbox& outbox, BodyWriter& writer, std::chrono::seconds silence) {
  auto last = std::chrono::steady_clock::now();
  bool probed = false;
  while (true) {
    std::string bytes;
    if (outbox.read(bytes, kLook) == Outbox::Got::kEnd) return true;
    const auto now = std::chrono::steady_clock::now();
    const bool probe = !probed && writer.half_closed();
    probed = probed || probe;
    if (bytes.empty() && (probe || now - last > (probed ? std::min(kProbe, silence) : silence))) bytes = kComment;
    if (!bytes.empty()) last = now;
    if (bytes.empty() ? writer.gone() : !writer.write(bytes)) return false;
  }
}

Result<std::vector<int32_t>> read_ids(const Json& body, int vocab, bool& keep_control) {
  Fault fault;
  Fields fields(body, "", fault);
  const Json* tokens = fields.array("tokens");
  if (tokens == nullptr) fault.expected("tokens", "an array of token ids", nullptr);
  std::vector<int32_t> ids;
  for (size_t i = 0; tokens != nullptr && i < tokens->size(); ++i) {
    const auto id = as_token_id((*tokens)[i]);
    if (id.value_or(vocab) >= vocab)
      fault.expected(base::concat("tokens[", i, "]"), base::concat("an id from 0 to ", vocab - 1), &(*tokens)[i]);
    ids.push_back(id.value_or(0));
  }
  keep_control = fields.flag("keep_control").value_or(true);
  fields.finish();
  DG_TRY(fault.result());
  return ids;
}

}  // namespace

/// What all endpoints share. `parse`: a body into a request, whose prompt is made here. `make_sink`: how it is written.
template <class Parse, class MakeSink>
HttpResponse Service::answer(const HttpRequest& request, const Peer& peer, const Parse& parse,
                             const MakeSink& make_sink) {
  const auto served = engine();
  if (!served) return refusal(not_ready(), request.path);
  const auto body = parse_body(request.body);
  if (!body) return refusal(ApiError(body.error()), request.path);
  auto asked = parse(*body, served->model);
  if (!asked) return refusal(ApiError(asked.error()), request.path);
  if (const auto made = served->make_prompt(*asked); !made) return refusal(ApiError(made.error()), request.path);
  const ResponseForm form = form_of(*served, asked->answer, asked->response);
  const auto outbox = std::make_shared<Outbox>(options_.limits.backlog_bytes);
  return run(served, {form.id, request.path, std::move(asked->answer), make_sink(form, outbox), outbox, form.stream},
             peer);
}

HttpResponse Service::chat(const HttpRequest& request, const Peer& peer) {
  return answer(request, peer, parse_chat_request, make_chat_sink);
}

HttpResponse Service::messages(const HttpRequest& request, const Peer& peer) {
  const auto parse = [](const Json& body, const ServedModel& model) { return parse_messages_request(body, model); };
  return answer(request, peer, parse, make_messages_sink);
}

HttpResponse Service::completions(const HttpRequest& request, const Peer& peer) {
  return answer(request, peer, parse_completion_request, make_completion_sink);
}

HttpResponse Service::run(const std::shared_ptr<ServedEngine>& served, Asked asked, const Peer& peer) {
  const ApiError stopping(503, "unavailable", "the service is stopping. Ask another one");
  if (draining_) return refusal(stopping, asked.path);
  std::optional<TraceWriter> trace;
  if (traces_) {
    auto recording = traces_->record(asked.id);
    if (!recording) return refusal(ApiError(recording.error()), asked.path);
    trace.emplace(std::move(*recording));
  }
  const std::shared_ptr<Outbox> outbox = asked.outbox;
  const std::shared_ptr<Job> job =
      std::make_shared<AnswerJob>(served->engine, served->pool, std::move(asked.answer), std::move(asked.sink),
                                  std::make_unique<Observer>(log_, metrics_, asked.id, std::move(trace)));
  if (const auto taken = served->scheduler.submit(job); !taken)
    return refusal(draining_ ? stopping : ApiError(taken.error()), asked.path);
  const auto place = std::make_shared<Place>(served, job);
  HttpResponse response;
  const std::chrono::seconds silence(options_.limits.silence_s);
  const auto start = std::chrono::steady_clock::now();
  std::optional<int> status;
  while (!(status = outbox->wait_status(kLook))) {
    if (peer.gone()) {
      response.status = 499;  // nobody hears it but the log
      return response;
    }
    if (!asked.stream || std::chrono::steady_clock::now() - start < silence) continue;
    // A long wait for a place. From here on failures are events.
    if (outbox->begin(200)) outbox->write(kComment);
  }
  response.status = *status;
  if (asked.stream && *status == 200) {
    response.content_type = "text/event-stream";
    response.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
    response.stream = [place, outbox, silence](BodyWriter& writer) { return send_stream(*outbox, writer, silence); };
    return response;
  }
  while (outbox->read(response.body, kLook) != Outbox::Got::kEnd) {
    if (!peer.gone()) continue;
    response.status = 499;
    break;
  }
  return response;
}

// The tokenizer -------------------------------------------------------------------------------------------------------

HttpResponse Service::count_tokens(const HttpRequest& request, const Peer&) {
  const auto served = engine();
  if (!served) return refusal(not_ready(), request.path);
  const auto count = [&]() -> Result<size_t> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    DG_TRY_ASSIGN(ChatRequest chat, parse_messages_request(body, served->model, true));
    DG_TRY_ASSIGN(const std::vector<int32_t> ids, served->engine.encode_chat(chat.chat));
    return ids.size();
  }();
  if (!count) return refusal(ApiError(count.error()), request.path);
  return json_response({{"input_tokens", *count}});
}

HttpResponse Service::tokenize(const HttpRequest& request, const Peer&) {
  const auto served = engine();
  if (!served) return refusal(not_ready(), request.path);
  const auto ids = [&]() -> Result<std::vector<int32_t>> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    Fault fault;
    Fields fields(body, "", fault);
    const auto text = fields.text("content");
    if (!text) fault.expected("content", "a string", fields.find("content"));
    const bool plain = fields.flag("plain").value_or(false), bos = fields.flag("add_bos").value_or(false);
    fields.finish();
    DG_TRY(fault.result());
    const Tokenizer& tokenizer = served->tokenizer();
    std::vector<int32_t> list = plain ? tokenizer.encode_plain(*text) : tokenizer.encode(*text);
    if (bos && tokenizer.bos_id() >= 0) list.insert(list.begin(), tokenizer.bos_id());
    return list;
  }();
  if (!ids) return refusal(ApiError(ids.error()), request.path);
  return json_response({{"tokens", *ids}, {"count", ids->size()}});
}

HttpResponse Service::detokenize(const HttpRequest& request, const Peer&) {
  const auto served = engine();
  if (!served) return refusal(not_ready(), request.path);
  const auto text = [&]() -> Result<std::string> {
    DG_TRY_ASSIGN(const Json body, parse_body(request.body));
    bool keep_control = true;
    const Tokenizer& tokenizer = served->tokenizer();
    DG_TRY_ASSIGN(const std::vector<int32_t> ids, read_ids(body, tokenizer.vocab_size(), keep_control));
    return tokenizer.decode(ids, keep_control);
  }();
  if (!text) return refusal(ApiError(text.error()), request.path);
  return json_response({{"content", *text}});
}

}  // namespace dgemma::server
