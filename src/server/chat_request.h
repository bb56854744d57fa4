// POST /v1/chat/completions: the body as a request for an answer.
//
// Pure and strict: every field is honoured, known to be without effect, or refused by name (docs/SERVER.md lists them).
// The messages themselves are checked again, in depth, where they are rendered (src/text/chat_request.cc).
// Test: tests/server/request_test.cc; fuzz/server_fuzz.cc.
#pragma once

#include <string>
#include <vector>

#include "server/request_options.h"

namespace dgemma::server {

struct ChatRequest {
  AnswerRequest answer;  ///< its prompt is made of `chat` later
  ResponseOptions response;
  std::string chat;         ///< messages, tools and thinking as JSON, for Engine::encode_chat
  std::string forced_call;  ///< text that the answer has to begin with, after a tool call marker; "" for none
};

/// Whether a tool's result may follow this message (null: none): it calls tools, or is a result itself.
bool takes_tool_result(const Json* before);

/// tool_choice: the answer begins with a call of any of the tools; a fault where there are none. `choice` is the word.
void force_any_call(const std::vector<std::string>& tools, const std::string& choice, Fault& fault,
                    ChatRequest& request);
/// The same for the one that `choice` has the name of; a fault where it is none of the tools.
void force_call(const std::vector<std::string>& tools, Fields& choice, ChatRequest& request);

/// Errors: kInvalidRequest, kUnsupported, kNotFound (model); the message begins with the field.
Result<ChatRequest> parse_chat_request(const Json& body, const ServedModel& model);

}  // namespace dgemma::server
