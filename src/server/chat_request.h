// POST /v1/chat/completions: the body as a request for an answer.
//
// Pure and strict: every field is honoured, known to be without effect, or refused by name (docs/SERVER.md lists them).
// The messages themselves are checked again, in depth, where they are rendered (src/text/chat_request.cc).
// Test: tests/server/request_test.cc; fuzz/server_fuzz.cc.
#pragma once

#include <set>
#include <string>

#include "server/request_options.h"

namespace dgemma::server {

struct ChatRequest {
  AnswerRequest answer;  ///< its prompt is made of `chat` later
  ResponseOptions response;
  std::string chat;         ///< messages, tools and thinking as JSON, for Engine::encode_chat
  std::string forced_call;  ///< text that the answer has to begin with, after a tool call marker; "" for none
};

/// The request's messages, null with a fault where there are none or too many.
const Json* message_list(Fields& fields, const Limits& limits);
/// Whether a tool's result may follow this message (null: none): it calls tools, or is a result itself.
bool takes_tool_result(const Json* before);

/// Says where a message's tool calls, at `where`, are too many: each result is looked up among them.
void check_tool_calls(size_t count, const std::string& where, Fault& fault);

/// What is said to a tool that is "strict".
constexpr const char* kNoStrict = "not supported: arguments are not constrained to the schema";
/// Names of the functions that may be called.
using ToolNames = std::set<std::string>;
/// The name of a function that is offered, among the names so far. A fault where it could not be told apart from its
/// call (text/tool_call.cc) or from another function.
std::string read_tool_name(Fields& function, ToolNames& names);

/// tool_choice: the answer begins with a call of any of the tools; a fault where there are none. `choice` is the word.
void force_any_call(const ToolNames& tools, const std::string& choice, Fault& fault, ChatRequest& request);
/// The same for the one that `choice` has the name of; a fault where it is none of the tools.
void force_call(const ToolNames& tools, Fields& choice, ChatRequest& request);

/// Errors: kInvalidRequest, kUnsupported, kNotFound (model); the message begins with the field.
Result<ChatRequest> parse_chat_request(const Json& body, const ServedModel& model);

}  // namespace dgemma::server
