// POST /v1/completions: the body as a request for an answer, without the chat format. Test:
// tests/server/request_test.cc.
#pragma once

#include <string>
#include <vector>

#include "server/request_options.h"

namespace dgemma::server {

struct CompletionPrompt {
  std::string field;  ///< "prompt", or "prompt[1]" in an array of them
  std::string text;   ///< where there are no ids
  std::vector<int32_t> ids;
};

struct CompletionRequest {
  AnswerRequest answer;  ///< its prompts are made of `prompts` later
  ResponseOptions response;
  std::vector<CompletionPrompt> prompts;
};

/// Errors: kInvalidRequest, kUnsupported, kNotFound (model); the message begins with the field.
Result<CompletionRequest> parse_completion_request(const Json& body, const ServedModel& model);

}  // namespace dgemma::server
