// See completion_request.h.
#include "server/completion_request.h"

namespace dgemma::server {
namespace {

constexpr int kMostLogprobs = 5;  // as in OpenAI's reference

/// A string, an array of token ids, or an array with one of either.
void read_prompt(Fields& fields, CompletionRequest& request) {
  const Json* prompt = fields.find("prompt");
  if (prompt != nullptr && prompt->is_array() && prompt->size() == 1 && !prompt->front().is_number())
    prompt = &prompt->front();
  if (prompt != nullptr && prompt->is_string()) {
    request.text = prompt->get<std::string>();
    return;
  }
  if (prompt != nullptr && prompt->is_array()) {
    for (const Json& value : *prompt)
      if (const auto id = as_token_id(value)) request.ids.push_back(*id);
    if (!prompt->empty() && request.ids.size() == prompt->size()) return;
  }
  fields.fault().expected("prompt", "one text, or an array of token ids", prompt);
}

}  // namespace

Result<CompletionRequest> parse_completion_request(const Json& body, const ServedModel& model) {
  Fault fault;
  Fields fields(body, "", fault);
  CompletionRequest request;
  request.answer.form = AnswerReader::Form::kRaw;
  read_model(fields, model);
  read_prompt(fields, request);
  read_seed(fields, request.answer);
  read_sampler(fields, 2, model, request.answer);
  read_length(fields, "max_tokens", model, request.answer);
  read_stop(fields, "stop", request.answer);
  read_stream(fields, request.response);
  if (const auto top = fields.whole("logprobs", 0, kMostLogprobs)) {
    request.answer.logprobs = true;
    request.answer.generate.top_tokens = *top;
  }
  read_choices(fields, model, request.answer);
  fields.only("best_of", {1}, "not supported: leave it out or give 1");
  fields.only("echo", {false}, "not supported: leave it out or give false");
  fields.only("suffix", {""}, "not supported: leave it out");
  read_openai_rest(fields);
  fields.finish();
  DG_TRY(fault.result());
  return request;
}

}  // namespace dgemma::server
