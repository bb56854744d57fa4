// POST /v1/chat/completions: the body as a request for an answer.
//
// Pure and strict: every field is honoured, known to be without effect, or refused by name (docs/SERVER.md lists them).
// The messages themselves are checked again, in depth, where they are rendered (src/text/chat_request.cc).
// Test: tests/server/request_test.cc; fuzz/server_fuzz.cc.
#pragma once

#include <string>

#include "server/request_options.h"

namespace dgemma::server {

struct ChatRequest {
  AnswerRequest answer;  ///< its prompt is made of `chat` later
  ResponseOptions response;
  std::string chat;         ///< messages, tools and thinking as JSON, for Engine::encode_chat
  std::string forced_call;  ///< text that the answer has to begin with, after a tool call marker; "" for none
  bool calls_forced = false;
};

/// Errors: kInvalidRequest, kUnsupported, kNotFound (model); the message begins with the field.
Result<ChatRequest> parse_chat_request(const Json& body, const ServedModel& model);

}  // namespace dgemma::server
