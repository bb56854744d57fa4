// See conversation.h.
#include "cli/conversation.h"

#include <span>
#include <utility>

#include "base/format.h"
#include "base/mapped_file.h"
#include "base/new_file.h"
#include "base/utf8.h"
#include "cli/json_text.h"

namespace dgemma::cli {
namespace {

constexpr size_t kMostBytes = size_t{64} << 20;

constexpr const char* kUser = "user";
constexpr const char* kAssistant = "assistant";

Json to_json(const Conversation& conversation) {
  Json messages = Json::array();
  if (!conversation.system.empty())
    messages.push_back({{"role", "system"}, {"content", base::utf8_repair(conversation.system)}});
  for (const Message& message : conversation.messages) {
    const char* role = message.role == ChatRole::kUser ? kUser : kAssistant;
    messages.push_back({{"role", role}, {"content", base::utf8_repair(message.content)}});
    if (!message.reasoning.empty()) messages.back()["reasoning_content"] = base::utf8_repair(message.reasoning);
  }
  Json request = {{"messages", std::move(messages)}};
  if (conversation.think) request["chat_template_kwargs"] = {{"enable_thinking", true}};
  return request;
}

Unexpected wrong(const std::string& where, const std::string& expected) {
  return {ErrorCode::kInvalidRequest, base::concat(where, ": expected ", expected, ", got something else")};
}

/// The text of a field; null where it is missing or is not text.
const std::string* text_field(const Json& object, const char* name) {
  const auto field = object.find(name);
  return field == object.end() ? nullptr : field->get_ptr<const std::string*>();
}

Result<void> read_message(const Json& json, const std::string& where, Conversation& conversation) {
  if (!json.is_object()) return wrong(where, "an object with role and content");
  const std::string* role = text_field(json, "role");
  const std::string* content = text_field(json, "content");
  if (role == nullptr) return wrong(where + ".role", "text");
  if (content == nullptr) return wrong(where + ".content", "text");
  if (*role == "system") {
    if (!conversation.messages.empty() || !conversation.system.empty())
      return wrong(where + ".role", "system in the first message only");
    conversation.system = *content;
    return {};
  }
  if (*role != kUser && *role != kAssistant) return wrong(where + ".role", "system, user or assistant");
  const std::string* reasoning = text_field(json, "reasoning_content");
  conversation.add(*role == kUser ? ChatRole::kUser : ChatRole::kAssistant, *content,
                   reasoning != nullptr ? *reasoning : "");
  return {};
}

Result<Conversation> from_json(const Json& json, const std::string& path) {
  if (!json.is_object()) return wrong(path, "a JSON object with messages");
  const auto messages = json.find("messages");
  if (messages == json.end() || !messages->is_array()) return wrong(path + ": messages", "an array");
  Conversation conversation;
  for (size_t i = 0; i < messages->size(); ++i)
    DG_TRY(read_message((*messages)[i], base::concat(path, ": messages[", i, "]"), conversation));
  if (const auto settings = json.find("chat_template_kwargs"); settings != json.end()) {
    const auto think = settings->is_object() ? settings->find("enable_thinking") : settings->end();
    if (!settings->is_object() || (think != settings->end() && !think->is_boolean()))
      return wrong(path + ": chat_template_kwargs.enable_thinking", "true or false");
    conversation.think = think != settings->end() && *think == true;
  }
  return conversation;
}

}  // namespace

ChatRequest Conversation::request() const {
  ChatRequest request;
  request.think = think;
  if (!system.empty()) request.messages.push_back({ChatRole::kSystem, system});
  for (const Message& message : messages) request.messages.push_back({message.role, message.content});
  return request;
}

Result<void> Conversation::save(const std::string& path) const {
  const std::string text = to_json(*this).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  DG_TRY_ASSIGN(base::NewFile file, base::NewFile::create(path));
  DG_TRY(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

Result<Conversation> Conversation::load(const std::string& path) {
  DG_TRY_ASSIGN(const std::string text, base::read_text_file(path, kMostBytes));
  return from_json(Json::parse(text, nullptr, false), path);
}

}  // namespace dgemma::cli
