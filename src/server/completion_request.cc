// See completion_request.h.
#include "server/completion_request.h"

#include "base/format.h"

namespace dgemma::server {
namespace {

constexpr int kMostLogprobs = 5;  // as in OpenAI's reference

/// A string, or an array of token ids.
CompletionPrompt read_prompt(const Json* prompt, const std::string& field, Fault& fault) {
  CompletionPrompt read{field, "", {}};
  if (prompt != nullptr && prompt->is_string()) {
    read.text = prompt->get<std::string>();
    return read;
  }
  if (prompt != nullptr && prompt->is_array()) {
    for (const Json& value : *prompt)
      if (const auto id = as_token_id(value)) read.ids.push_back(*id);
    if (!prompt->empty() && read.ids.size() == prompt->size()) return read;
  }
  fault.expected(field, "a text, or an array of token ids", prompt);
  return read;
}

/// One prompt, or an array of them. After read_choices: all answers together have a bound.
void read_prompts(Fields& fields, const ServedModel& model, CompletionRequest& request) {
  const Json* prompt = fields.find("prompt");
  const bool several = prompt != nullptr && prompt->is_array() && !prompt->empty() && !prompt->front().is_number();
  if (!several) {
    request.prompts.push_back(read_prompt(prompt, "prompt", fields.fault()));
    return;
  }
  const auto most = static_cast<size_t>(model.limits.completions / request.answer.choices);
  if (prompt->size() > most)
    return fields.fault().set(ErrorCode::kInvalidRequest,
                              base::concat("prompt: expected at most ", most, " prompts with n ",
                                           request.answer.choices, ", got ", prompt->size()));
  if (prompt->size() > 1 && request.answer.drafts)
    return fields.fault().expected("prompt", "one with diffusion.drafts", prompt);
  for (size_t i = 0; i < prompt->size(); ++i)
    request.prompts.push_back(read_prompt(&(*prompt)[i], base::concat("prompt[", i, "]"), fields.fault()));
}

}  // namespace

Result<CompletionRequest> parse_completion_request(const Json& body, const ServedModel& model) {
  Fault fault;
  Fields fields(body, "", fault);
  CompletionRequest request;
  request.answer.form = AnswerReader::Form::kRaw;
  read_model(fields, model);
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
  read_prompts(fields, model, request);
  fields.only("best_of", {1}, "not supported: leave it out or give 1");
  fields.only("echo", {false}, "not supported: leave it out or give false");
  fields.only("suffix", {""}, "not supported: leave it out");
  read_openai_rest(fields);
  fields.finish();
  DG_TRY(fault.result());
  return request;
}

}  // namespace dgemma::server
