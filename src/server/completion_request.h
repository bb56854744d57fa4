// POST /v1/completions: the body as a request for an answer, without the chat format. Test:
// tests/server/request_test.cc.
#pragma once

#include <string>
#include <vector>

#include "server/request_options.h"

namespace dgemma::server {

struct CompletionRequest {
  AnswerRequest answer;  ///< its prompt is made of `text` later, where there are no ids
  ResponseOptions response;
  std::string text;  ///< the prompt, or
  std::vector<int32_t> ids;
};

/// Errors: kInvalidRequest, kUnsupported, kNotFound (model); the message begins with the field.
Result<CompletionRequest> parse_completion_request(const Json& body, const ServedModel& model);

}  // namespace dgemma::server
