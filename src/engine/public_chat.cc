// See public_chat.h: the tree that text::ChatRequest::parse would make of the same request in OpenAI form.
// Test: tests/engine/chat_test.cc, against that form.
#include "engine/public_chat.h"

#include <utility>

#include "base/format.h"
#include "base/utf8.h"

namespace dgemma::engine {
namespace {

using text::JsonTree;

JsonTree text_tree(std::string_view text) { return JsonTree::string(base::utf8_repair(text)); }

const char* role_name(ChatRole role) {
  switch (role) {
    case ChatRole::kSystem:
      return "system";
    case ChatRole::kUser:
      return "user";
    case ChatRole::kAssistant:
      return "assistant";
    case ChatRole::kTool:
      return "tool";
  }
  return "user";
}

Result<JsonTree> parse_as(JsonTree::Kind kind, const char* expected, const std::string& json,
                          const std::string& field) {
  DG_TRY_ASSIGN(JsonTree tree, text::parse_json(json, field, ErrorCode::kInvalidRequest));
  if (tree.is(kind)) return tree;
  return Unexpected(ErrorCode::kInvalidRequest,
                    base::concat(field, ": expected ", expected, " as JSON text, got ", tree.kind_name()));
}

Result<JsonTree> call_tree(const ToolCall& call, size_t number, const std::string& field) {
  DG_TRY_ASSIGN(JsonTree arguments,
                parse_as(JsonTree::Kind::kObject, "an object", call.arguments, field + ".arguments"));
  JsonTree function = JsonTree::of(JsonTree::Kind::kObject);
  function.members = {{"name", text_tree(call.name)}, {"arguments", std::move(arguments)}};
  JsonTree tree = JsonTree::of(JsonTree::Kind::kObject);
  // With an id of its own, so that a result without one is never taken for this call's: results have names here.
  tree.members = {{"id", JsonTree::string(base::concat("call_", number))}, {"function", std::move(function)}};
  return tree;
}

Result<JsonTree> message_tree(const ChatMessage& message, const std::string& field) {
  JsonTree tree = JsonTree::of(JsonTree::Kind::kObject);
  tree.members = {{"role", JsonTree::string(role_name(message.role))}, {"content", text_tree(message.content)}};
  if (message.role == ChatRole::kTool) tree.members.emplace_back("name", text_tree(message.tool));
  if (message.tool_calls.empty()) return tree;
  JsonTree calls = JsonTree::array();
  for (size_t i = 0; i < message.tool_calls.size(); ++i) {
    DG_TRY_ASSIGN(JsonTree call, call_tree(message.tool_calls[i], i, base::concat(field, ".tool_calls[", i, "]")));
    calls.items.push_back(std::move(call));
  }
  tree.members.emplace_back("tool_calls", std::move(calls));
  return tree;
}

}  // namespace

Result<text::ChatRequest> chat_request(const ChatRequest& request) {
  text::ChatInput input;
  input.messages = JsonTree::array();
  for (size_t i = 0; i < request.messages.size(); ++i) {
    DG_TRY_ASSIGN(JsonTree message, message_tree(request.messages[i], base::concat("messages[", i, "]")));
    input.messages.items.push_back(std::move(message));
  }
  input.enable_thinking = request.think;
  if (!request.tools.empty()) {
    DG_TRY_ASSIGN(input.tools, parse_as(JsonTree::Kind::kArray, "an array", request.tools, "tools"));
  }
  return text::ChatRequest::render(input);
}

}  // namespace dgemma::engine
