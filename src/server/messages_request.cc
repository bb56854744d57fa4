// See messages_request.h.
#include "server/messages_request.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/format.h"

namespace dgemma::server {
namespace {

/// A string, or an array of text blocks, as one text.
std::string read_text(const Json* value, const std::string& where, Fault& fault) {
  if (value == nullptr) return "";
  if (value->is_string()) return value->get<std::string>();
  std::string text;
  if (!value->is_array()) fault.expected(where, "a string or an array of text blocks", value);
  for (size_t i = 0; value->is_array() && i < value->size(); ++i) {
    Fields block((*value)[i], base::concat(where, "[", i, "]"), fault);
    block.required_word("type", {"text"});
    text += block.required_text("text");
    block.ignore("cache_control");  // prompts are kept without being told
    block.ignore("citations");
    block.finish();
  }
  return text;
}

/// The blocks of one message, as messages of OpenAI's form: tool results come first, then the rest as one message.
class BlockReader {
 public:
  BlockReader(std::string role, Json& messages, Fault& fault)
      : role_(std::move(role)), messages_(messages), fault_(fault) {
    const auto before = std::find_if(messages_.rbegin(), messages_.rend(),
                                     [](const Json& message) { return message["role"] != "tool"; });
    if (before == messages_.rend() || !before->contains("tool_calls")) return;
    for (const Json& call : (*before)["tool_calls"]) called_.insert(call["id"].get<std::string>());
  }

  void read(const Json& blocks, const std::string& where) {
    for (size_t i = 0; i < blocks.size(); ++i) read_block(Fields(blocks[i], base::concat(where, "[", i, "]"), fault_));
    Json message = {{"role", role_}};
    if (!parts_.empty()) message["content"] = std::move(parts_);
    if (!reasoning_.empty()) message["reasoning_content"] = reasoning_;
    check_tool_calls(calls_.size(), where, fault_);
    if (!calls_.empty()) message["tool_calls"] = std::move(calls_);
    if (message.size() > 1) messages_.push_back(std::move(message));
  }

 private:
  void read_block(Fields block) {
    const std::vector<std::string> of_user = {"text", "tool_result"};
    const std::vector<std::string> of_assistant = {"text", "tool_use", "thinking", "redacted_thinking"};
    const std::string type = block.required_word("type", role_ == "user" ? of_user : of_assistant);
    block.ignore("cache_control");
    if (type == "text") {
      block.ignore("citations");
      parts_.push_back({{"type", "text"}, {"text", block.required_text("text")}});
    } else if (type == "tool_use") {
      const Json* input = block.object("input");
      if (input == nullptr) fault_.expected(block.path("input"), "an object", block.find("input"));
      calls_.push_back(
          {{"id", block.required_text("id")},
           {"type", "function"},
           {"function",
            {{"name", block.required_text("name")}, {"arguments", input == nullptr ? "{}" : json_text(*input)}}}});
    } else if (type == "tool_result") {
      const std::string text = read_text(block.find("content"), block.path("content"), fault_);
      const std::string id = block.required_text("tool_use_id");
      if (messages_.empty() || !takes_tool_result(&messages_.back()))
        fault_.expected(block.path("type"), "tool_result only behind an assistant's message with tool_use",
                        block.find("type"));
      if (!called_.contains(id))
        fault_.expected(block.path("tool_use_id"), "the id of a tool_use of the message before",
                        block.find("tool_use_id"));
      messages_.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", text}});
      block.ignore("is_error");
    } else if (type == "thinking") {
      reasoning_ += block.required_text("thinking");
      block.ignore("signature");
    } else {
      block.ignore("data");
    }
    block.finish();
  }

  std::string role_;
  Json& messages_;
  Fault& fault_;
  std::set<std::string> called_;  // ids of the calls that a tool result can answer here
  Json parts_ = Json::array(), calls_ = Json::array();
  std::string reasoning_;
};

void read_anthropic_messages(Fields& fields, const Limits& limits, Json& chat) {
  Json messages = Json::array();
  const std::string system = read_text(fields.find("system"), "system", fields.fault());
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  const Json* given = message_list(fields, limits);
  if (given == nullptr) return;
  for (size_t i = 0; i < given->size(); ++i) {
    Fields message((*given)[i], base::concat("messages[", i, "]"), fields.fault());
    const std::string role = message.required_word("role", {"user", "assistant"});
    const Json* content = message.find("content");
    if (content != nullptr && content->is_string())
      messages.push_back({{"role", role}, {"content", *content}});
    else if (content != nullptr && content->is_array() && !content->empty())
      BlockReader(role, messages, fields.fault()).read(*content, message.path("content"));
    else
      message.fault().expected(message.path("content"), "a string or an array of at least one block", content);
    message.finish();
  }
  chat["messages"] = std::move(messages);
}

ToolNames read_anthropic_tools(Fields& fields, Json& chat) {
  ToolNames names;
  const Json* tools = fields.array("tools");
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    Fields tool((*tools)[i], base::concat("tools[", i, "]"), fields.fault());
    tool.word("type", {"custom"});
    Json function = {{"name", read_tool_name(tool, names)}, {"description", tool.text("description").value_or("")}};
    if (const Json* schema = tool.object("input_schema")) function["parameters"] = *schema;
    chat["tools"].push_back({{"type", "function"}, {"function", std::move(function)}});
    tool.only("strict", {false}, kNoStrict);
    tool.ignore("cache_control");
    tool.finish();
  }
  return names;
}

void read_anthropic_tool_choice(Fields& fields, const ToolNames& names, ChatRequest& request, Json& chat) {
  const Json* choice = fields.object("tool_choice");
  if (choice == nullptr) return;
  Fields inner(*choice, "tool_choice", fields.fault());
  const std::string type = inner.required_word("type", {"auto", "any", "tool", "none"});
  request.answer.several_tool_calls = !inner.flag("disable_parallel_tool_use").value_or(false);
  inner.ignore("name");  // says something for type tool only
  if (type == "none") chat.erase("tools");
  if (type == "any") force_any_call(names, type, fields.fault(), request);
  if (type == "tool") force_call(names, inner, request);
  inner.finish();
}

bool read_anthropic_thinking(Fields& fields) {
  const Json* thinking = fields.object("thinking");
  if (thinking == nullptr) return false;
  Fields inner(*thinking, "thinking", fields.fault());
  const std::string type = inner.required_word("type", {"enabled", "disabled", "adaptive"});
  inner.ignore("budget_tokens");  // thoughts count towards max_tokens and have no bound of their own
  inner.ignore("display");
  inner.finish();
  return type == "enabled" || type == "adaptive";
}

void read_output_config(Fields& fields) {
  const Json* config = fields.object("output_config");
  if (config == nullptr) return;
  Fields inner(*config, "output_config", fields.fault());
  inner.word("effort", {"low", "medium", "high", "xhigh", "max"});  // thoughts have no bound of their own
  inner.only("format", {}, "not supported: output is not constrained");
  inner.finish();
}

}  // namespace

Result<ChatRequest> parse_messages_request(const Json& body, const ServedModel& model, bool counting) {
  Fault fault;
  Fields fields(body, "", fault);
  ChatRequest request;
  Json chat = Json::object();
  read_model(fields, model);
  read_anthropic_messages(fields, model.limits, chat);
  read_anthropic_tool_choice(fields, read_anthropic_tools(fields, chat), request, chat);
  chat["chat_template_kwargs"] = {{"enable_thinking", read_anthropic_thinking(fields)}};
  if (!counting && fields.find("max_tokens") == nullptr)
    fault.expected("max_tokens", "the most tokens that the answer may have", nullptr);
  read_length(fields, "max_tokens", model, request.answer);
  read_seed(fields, request.answer);
  read_sampler(fields, 1, model, request.answer);
  if (fields.array("stop_sequences") != nullptr) read_stop(fields, "stop_sequences", request.answer);
  request.response.stream = fields.flag("stream").value_or(false);
  fields.only("top_p", {1}, "not supported by text diffusion: leave it out or give 1");
  read_output_config(fields);
  fields.only("top_k", {}, "not supported by text diffusion: leave it out");
  fields.only("service_tier", {"auto", "standard_only"}, "expected auto: there is one tier here");
  fields.only("speed", {"standard"}, "expected standard: there is one speed here");
  for (const char* name : {"metadata", "cache_control"}) fields.ignore(name);
  fields.finish();
  DG_TRY(fault.result());
  request.chat = json_text(chat);
  return request;
}

}  // namespace dgemma::server
