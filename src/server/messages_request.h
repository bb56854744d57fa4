// POST /v1/messages: a body in Anthropic's form as the same request that OpenAI's form makes.
//
// system, content blocks, tool_use and tool_result become messages, tool_calls and tool roles; what the model cannot
// see (images, documents) is refused by name. Test: tests/server/request_test.cc.
#pragma once

#include "server/chat_request.h"

namespace dgemma::server {

/// Errors: kInvalidRequest, kUnsupported, kNotFound (model); the message begins with the field.
/// `counting`: for /v1/messages/count_tokens, where max_tokens is not asked for.
Result<ChatRequest> parse_messages_request(const Json& body, const ServedModel& model, bool counting = false);

}  // namespace dgemma::server
