// See chat_request.h.
#include "server/chat_request.h"

#include <algorithm>
#include <utility>

#include "base/format.h"

namespace dgemma::server {
namespace {

/// Only text parts: what the model cannot see must not be skipped in silence.
void check_parts(const Json& message, const std::string& where, Fault& fault) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_array()) return;
  for (size_t i = 0; i < content->size(); ++i) {
    const Json& part = (*content)[i];
    const auto type = part.is_object() ? part.find("type") : part.end();
    if (!part.is_object() || type == part.end() || !type->is_string()) continue;  // the renderer says what is wrong
    if (*type != "text")
      fault.unsupported(base::concat(where, ".content[", i, "].type"),
                        "expected text, got " + base::quoted(type->get<std::string>()) + ". Only text is supported");
  }
}

void read_messages(Fields& fields, const Limits& limits, Json& chat) {
  const Json* messages = fields.array("messages");
  if (messages == nullptr || messages->empty()) {
    fields.fault().expected("messages", "an array of at least one message", messages);
    return;
  }
  if (messages->size() > static_cast<size_t>(limits.messages))
    fields.fault().set(ErrorCode::kInvalidRequest, base::concat("messages: expected at most ", limits.messages,
                                                                " messages, got ", messages->size()));
  for (size_t i = 0; i < messages->size(); ++i)
    if ((*messages)[i].is_object()) check_parts((*messages)[i], base::concat("messages[", i, "]"), fields.fault());
  chat["messages"] = *messages;
}

/// Names of the functions that may be called.
std::vector<std::string> read_tools(Fields& fields, Json& chat) {
  std::vector<std::string> names;
  const Json* tools = fields.array("tools");
  if (tools == nullptr) return names;
  for (size_t i = 0; i < tools->size(); ++i) {
    Fields tool((*tools)[i], base::concat("tools[", i, "]"), fields.fault());
    if (tool.word("type", {"function"}).empty())
      tool.fault().expected(tool.path("type"), "function", tool.find("type"));
    const Json* function = tool.object("function");
    if (function == nullptr) {
      tool.fault().expected(tool.path("function"), "an object", nullptr);
      return names;
    }
    Fields inner(*function, tool.path("function"), fields.fault());
    const auto name = inner.text("name");
    if (!name || name->empty()) inner.fault().expected(inner.path("name"), "a name", inner.find("name"));
    names.push_back(name.value_or(""));
    inner.only("strict", {false}, "not supported: arguments are not constrained to the schema");
    tool.finish();
  }
  if (!names.empty()) chat["tools"] = *tools;
  return names;
}

/// tool_choice: none, auto, required, or one function by name.
void read_tool_choice(Fields& fields, const std::vector<std::string>& names, ChatRequest& request, Json& chat) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr) return;
  if (choice->is_string()) {
    const std::string word = fields.word("tool_choice", {"none", "auto", "required"});
    if (word == "none") chat.erase("tools");
    if (word == "required") force_any_call(names, word, fields.fault(), request);
    return;
  }
  Fields inner(*choice, "tool_choice", fields.fault());
  inner.word("type", {"function"});
  if (const Json* function = inner.object("function")) {
    Fields named(*function, "tool_choice.function", fields.fault());
    force_call(names, named, request);
    named.finish();
  } else {
    inner.fault().expected("tool_choice.function", "an object", nullptr);
  }
  inner.finish();
}

void read_thinking(Fields& fields, Json& chat) {
  const std::string effort = fields.word("reasoning_effort", {"none", "minimal", "low", "medium", "high", "xhigh"});
  bool think = !effort.empty() && effort != "none" && effort != "minimal";
  if (const Json* options = fields.object("chat_template_kwargs")) {
    Fields inner(*options, "chat_template_kwargs", fields.fault());
    if (const auto flag = inner.flag("enable_thinking")) think = *flag;
    inner.finish();
  }
  chat["chat_template_kwargs"] = {{"enable_thinking", think}};
}

void read_logprobs(Fields& fields, AnswerRequest& answer) {
  answer.logprobs = fields.flag("logprobs").value_or(false);
  const auto top = fields.whole("top_logprobs", 0, kMostTopTokens);
  if (top && !answer.logprobs)
    fields.fault().expected("top_logprobs", "nothing without \"logprobs\": true", fields.find("top_logprobs"));
  answer.generate.top_tokens = top.value_or(0);
}

}  // namespace

void force_any_call(const std::vector<std::string>& tools, const std::string& choice, Fault& fault,
                    ChatRequest& request) {
  if (tools.empty()) fault.expected("tools", "at least one for tool_choice " + choice, nullptr);
  request.forced_call = "call:";
}

void force_call(const std::vector<std::string>& tools, Fields& choice, ChatRequest& request) {
  const std::string name = choice.text("name").value_or("");
  if (std::find(tools.begin(), tools.end(), name) == tools.end())
    choice.fault().expected(choice.path("name"), "the name of one of tools", choice.find("name"));
  request.forced_call = "call:" + name + "{";
}

Result<ChatRequest> parse_chat_request(const Json& body, const ServedModel& model) {
  Fault fault;
  Fields fields(body, "", fault);
  ChatRequest request;
  Json chat = Json::object();
  read_model(fields, model);
  read_messages(fields, model.limits, chat);
  read_tool_choice(fields, read_tools(fields, chat), request, chat);
  request.answer.several_tool_calls = fields.flag("parallel_tool_calls").value_or(true);
  read_thinking(fields, chat);
  read_seed(fields, request.answer);
  read_sampler(fields, 2, model, request.answer);
  if (fields.find("max_tokens") != nullptr && fields.find("max_completion_tokens") != nullptr)
    fault.expected("max_tokens", "nothing beside max_completion_tokens", fields.find("max_tokens"));
  read_length(fields, "max_tokens", model, request.answer);
  read_length(fields, "max_completion_tokens", model, request.answer);
  read_stop(fields, "stop", request.answer);
  read_stream(fields, request.response);
  read_logprobs(fields, request.answer);
  read_choices(fields, model, request.answer);
  fields.only("response_format", {Json::object({{"type", "text"}})},
              "expected type text: constrained output is not supported");
  fields.only("modalities", {Json::array({"text"})}, "expected [\"text\"]: only text is supported");
  for (const char* name : {"functions", "function_call"})
    fields.only(name, {}, "not supported: use tools and tool_choice");
  for (const char* name : {"audio", "prediction", "web_search_options", "verbosity"})
    fields.only(name, {}, "not supported");
  read_openai_rest(fields);
  fields.finish();
  DG_TRY(fault.result());
  request.chat = json_text(chat);
  return request;
}

}  // namespace dgemma::server
