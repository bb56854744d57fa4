// See chat_request.h.
#include "server/chat_request.h"

#include <algorithm>
#include <utility>

#include "base/format.h"

namespace dgemma::server {
namespace {

constexpr size_t kLongestToolName = 128;  // OpenAI has 64, Anthropic 128

/// A text part: what the model cannot see must not be skipped in silence.
void read_part(Fields part) {
  const Json* type = part.find("type");
  if (type == nullptr || !type->is_string())
    part.fault().expected(part.path("type"), "text", type);
  else if (*type != "text")
    part.fault().unsupported(
        part.path("type"), "expected text, got " + base::quoted(type->get<std::string>()) + ". Only text is supported");
  part.text("text");
  part.ignore("prompt_cache_breakpoint");  // prompts are kept without being told
  part.finish();
}

void read_tool_call(Fields call) {
  call.text("id");
  call.word("type", {"function"});
  call.ignore("index");  // of a call that was put together from a stream
  if (const Json* function = call.object("function")) {
    Fields inner(*function, call.path("function"), call.fault());
    inner.text("name");
    inner.find("arguments");
    inner.finish();
  }
  call.finish();
}

/// A tool's result behind `before`, the message before it. The template leaves out what answers no call, and Gemma's
/// format needs the name of the function: clients of older APIs give it in place of the id.
void check_tool_message(Fields& message, const Json* before) {
  if (message.find("tool_call_id") == nullptr && message.find("name") == nullptr)
    message.fault().expected(message.path("tool_call_id"), "the id of the tool call that it answers", nullptr);
  if (!takes_tool_result(before))
    message.fault().expected(message.path("role"), "tool only behind an assistant's message with tool_calls",
                             message.find("role"));
}

/// Which fields a message may have. What they hold is checked where it is rendered (src/text/chat_request.cc).
void read_message(Fields message, const Json* before) {
  const std::string role = message.required_word("role", {"system", "developer", "user", "assistant", "tool"});
  const Json* content = message.find("content");
  if (content == nullptr && role != "assistant")
    message.fault().expected(message.path("content"), "a string or an array of parts", nullptr);
  for (size_t i = 0; content != nullptr && content->is_array() && i < content->size(); ++i)
    read_part(Fields((*content)[i], base::concat(message.path("content"), "[", i, "]"), message.fault()));
  const Json* calls = message.array("tool_calls");
  if (calls != nullptr) check_tool_calls(calls->size(), message.path("tool_calls"), message.fault());
  for (size_t i = 0; calls != nullptr && i < calls->size(); ++i)
    read_tool_call(Fields((*calls)[i], base::concat(message.path("tool_calls"), "[", i, "]"), message.fault()));
  for (const char* name : {"name", "tool_call_id", "reasoning_content", "reasoning"}) message.text(name);
  if (role == "tool") check_tool_message(message, before);
  message.ignore("annotations");  // links that go with an earlier answer's text
  for (const char* name : {"refusal", "audio", "function_call"}) message.only(name, {}, "not supported");
  message.finish();
}

void read_messages(Fields& fields, const Limits& limits, Json& chat) {
  const Json* messages = message_list(fields, limits);
  if (messages == nullptr) return;
  for (size_t i = 0; i < messages->size(); ++i)
    read_message(Fields((*messages)[i], base::concat("messages[", i, "]"), fields.fault()),
                 i > 0 ? &(*messages)[i - 1] : nullptr);
  chat["messages"] = *messages;
}

ToolNames read_tools(Fields& fields, Json& chat) {
  ToolNames names;
  const Json* tools = fields.array("tools");
  if (tools == nullptr) return names;
  for (size_t i = 0; i < tools->size(); ++i) {
    Fields tool((*tools)[i], base::concat("tools[", i, "]"), fields.fault());
    tool.required_word("type", {"function"});
    const Json* function = tool.object("function");
    if (function == nullptr) {
      tool.fault().expected(tool.path("function"), "an object", nullptr);
      return names;
    }
    Fields inner(*function, tool.path("function"), fields.fault());
    read_tool_name(inner, names);
    inner.text("description");
    inner.object("parameters");
    inner.only("strict", {false}, kNoStrict);
    inner.finish();
    tool.finish();
  }
  if (!names.empty()) chat["tools"] = *tools;
  return names;
}

/// tool_choice: none, auto, required, or one function by name.
void read_tool_choice(Fields& fields, const ToolNames& names, ChatRequest& request, Json& chat) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr) return;
  if (choice->is_string()) {
    const std::string word = fields.word("tool_choice", {"none", "auto", "required"});
    if (word == "none") chat.erase("tools");
    if (word == "required") force_any_call(names, word, fields.fault(), request);
    return;
  }
  Fields inner(*choice, "tool_choice", fields.fault());
  inner.required_word("type", {"function"});
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
  const std::string effort =
      fields.word("reasoning_effort", {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
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

const Json* message_list(Fields& fields, const Limits& limits) {
  const Json* messages = fields.array("messages");
  const size_t count = messages == nullptr ? 0 : messages->size();
  if (count > 0 && count <= static_cast<size_t>(limits.messages)) return messages;
  const std::string got = messages == nullptr ? "nothing" : count == 0 ? "an empty one" : std::to_string(count);
  fields.fault().set(ErrorCode::kInvalidRequest,
                     base::concat("messages: expected an array of 1 to ", limits.messages, " messages, got ", got));
  return nullptr;
}

bool takes_tool_result(const Json* before) {
  if (before == nullptr || !before->is_object()) return false;
  const auto role = before->find("role"), calls = before->find("tool_calls");
  return (role != before->end() && *role == "tool") || (calls != before->end() && !calls->empty());
}

void check_tool_calls(size_t count, const std::string& where, Fault& fault) {
  constexpr size_t kMost = 128;
  if (count > kMost)
    fault.set(ErrorCode::kInvalidRequest,
              base::concat(where, ": expected at most ", kMost, " tool calls in a message, got ", count));
}

std::string read_tool_name(Fields& function, ToolNames& names) {
  const std::string name = function.text("name").value_or("");
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
  if (name.empty() || name.size() > kLongestToolName || !plain)
    function.fault().expected(function.path("name"),
                              base::concat("1 to ", kLongestToolName, " letters, digits, '_', '-' and '.'"),
                              function.find("name"));
  if (!names.insert(name).second)
    function.fault().expected(function.path("name"), "another name than the tools before", function.find("name"));
  return name;
}

void force_any_call(const ToolNames& tools, const std::string& choice, Fault& fault, ChatRequest& request) {
  if (tools.empty()) fault.expected("tools", "at least one for tool_choice " + choice, nullptr);
  request.forced_call = "call:";
}

void force_call(const ToolNames& tools, Fields& choice, ChatRequest& request) {
  const std::string name = choice.text("name").value_or("");
  if (!tools.contains(name))
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
