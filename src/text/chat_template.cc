// The Gemma 4 chat template in C++: each function below is one macro or one block of the Jinja template, in its order.
//
// Where the template shows a value as it is, Python's str() decides (python_text.h); where it reads a member that is
// not there, Jinja's undefined does: empty as text, false as a condition, absent here as a null pointer. What would
// raise in Jinja is recorded as the first fault and becomes the error of the whole. Source: the chat_template.jinja of
// the Gemma 4 checkpoints, run by transformers with trim_blocks and lstrip_blocks (neither leaves a trace here: every
// block of the template trims itself). Test: tests/text/chat_test.cc, with jinja2 as the oracle.
#include <algorithm>
#include <array>

#include "base/format.h"
#include "text/answer_parser.h"
#include "text/chat.h"
#include "text/python_text.h"
#include "text/unicode.h"

namespace dgemma::text {
namespace {

/// The place of a value in the request, for messages: a chain on the stack, written out only when something is wrong.
struct Where {
  const Where* parent;
  std::string_view name;
  size_t index;  // used when name is empty

  Where(const Where* p, std::string_view n) : parent(p), name(n), index(0) {}
  Where(const Where* p, size_t i) : parent(p), index(i) {}
  Where operator/(std::string_view member) const { return {this, member}; }
  Where operator/(size_t item) const { return {this, item}; }
  std::string text() const {
    const std::string before = parent == nullptr ? "" : parent->text();
    if (name.empty()) return base::concat(before, "[", index, "]");
    return base::concat(before, before.empty() ? "" : ".", name);
  }
};

bool truthy(const JsonTree* value) { return value != nullptr && python_true(*value); }
std::string shown(const JsonTree* value) { return value == nullptr ? "" : python_str(*value); }
std::string shown_upper(const JsonTree* value) { return python_upper(shown(value)); }

/// x[key] of Jinja: a member of an object, undefined for everything else.
const JsonTree* member(const JsonTree* value, std::string_view key) {
  return value == nullptr || !value->is_object() ? nullptr : value->find(key);
}

/// x | dictsort: members by lower-cased key; equal ones keep their order.
std::vector<const std::pair<std::string, JsonTree>*> dictsort(const JsonTree& object) {
  struct Entry {
    std::string key;
    const std::pair<std::string, JsonTree>* member;
  };
  std::vector<Entry> entries;
  entries.reserve(object.members.size());
  for (const auto& m : object.members) entries.push_back({python_lower(m.first), &m});
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  std::vector<const std::pair<std::string, JsonTree>*> sorted;
  sorted.reserve(entries.size());
  for (const Entry& entry : entries) sorted.push_back(entry.member);
  return sorted;
}

class Renderer {
 public:
  explicit Renderer(const ChatInput& input) : input_(input) {}
  Result<std::vector<ChatSegment>> run();

 private:
  /// What the template's namespace remembers of the last message.
  enum class Previous { kOther, kToolCall, kToolResponse };

  void marker(std::string_view text) { segments_.push_back({std::string(text), true}); }
  void text(std::string_view text) {
    if (text.empty()) return;
    if (segments_.empty() || segments_.back().is_marker) segments_.push_back({});
    segments_.back().text += text;
  }
  void quoted(std::string_view content) { marker(kQuote), text(content), marker(kQuote); }
  void comma(bool& needed) {
    if (needed) text(",");
    needed = true;
  }
  void fail(const Where& where, const std::string& expected, const JsonTree* got);
  std::string string_at(const JsonTree* value, const Where& where);

  void parameters(const JsonTree& properties, const Where& where);
  void parameter(const JsonTree& value, const Where& where);
  void array_items(const JsonTree& items, const Where& where);
  void quoted_list(const JsonTree& list, const Where& where);
  std::vector<JsonTree> iterated(const JsonTree& value, const Where& where);
  void declaration(const JsonTree& tool, const Where& where);
  void argument(const JsonTree& value, bool escape_keys);
  void tool_response(std::string_view name, const JsonTree* response);

  void system_turn();
  void message(size_t index);
  void thinking(const JsonTree& message, size_t index, const Where& where);
  void tool_calls(const JsonTree& calls, const Where& where);
  bool tool_results(const JsonTree& message, size_t index, const Where& where);
  void tool_message(const JsonTree& calls, const Where& calls_where, const JsonTree& result, const Where& where);
  bool content(const JsonTree& message, bool model);
  void spoken(std::string_view content, bool model);
  bool continues_model_turn(size_t index) const;

  const JsonTree& at(size_t index) const { return input_.messages.items[index]; }
  const std::string& role(size_t index) const { return at(index).find("role")->text; }
  size_t count() const { return input_.messages.items.size(); }

  const ChatInput& input_;
  size_t first_ = 0;       // the first message after the system turn
  size_t after_user_ = 0;  // messages from here on come after the last user message
  Previous previous_ = Previous::kOther;
  std::vector<ChatSegment> segments_;
  std::string fault_;
};

void Renderer::fail(const Where& where, const std::string& expected, const JsonTree* got) {
  if (!fault_.empty()) return;
  const std::string what = got == nullptr ? "nothing" : got->kind_name();
  fault_ = base::concat(where.text(), ": expected ", expected, ", got ", what);
}

std::string Renderer::string_at(const JsonTree* value, const Where& where) {
  if (value != nullptr && value->is_string()) return value->text;
  fail(where, "a string", value);
  return "";
}

/// What a Jinja for loop goes over.
std::vector<JsonTree> Renderer::iterated(const JsonTree& value, const Where& where) {
  std::vector<JsonTree> items;
  if (value.is_array()) return value.items;
  if (!value.is_object()) fail(where, "an array", &value);  // Jinja takes a string too: one character an item
  for (const auto& m : value.members) items.push_back(JsonTree::string(m.first));
  return items;
}

/// format_parameters
void Renderer::parameters(const JsonTree& properties, const Where& where) {
  constexpr std::array<std::string_view, 5> kStandardKeys = {"description", "type", "properties", "required",
                                                             "nullable"};
  if (!properties.is_object()) return fail(where, "an object", &properties);
  bool found = false;
  for (const auto* entry : dictsort(properties)) {
    const auto& [key, value] = *entry;
    if (std::find(kStandardKeys.begin(), kStandardKeys.end(), key) != kStandardKeys.end()) continue;
    comma(found);
    text(key);
    text(":{");
    parameter(value, where / key);
  }
}

void Renderer::parameter(const JsonTree& value, const Where& where) {
  const JsonTree* description = member(&value, "description");
  const std::string type = shown_upper(member(&value, "type"));
  bool some = false;
  if (truthy(description)) {
    text("description:");
    quoted(shown(description));
    some = true;
  }
  if (type == "STRING") {
    if (const JsonTree* choices = member(&value, "enum"); truthy(choices)) {
      comma(some);
      text("enum:");
      argument(*choices, true);
    }
  } else if (type == "ARRAY") {
    if (const JsonTree* items = member(&value, "items"); truthy(items) && items->is_object()) {
      comma(some);
      text("items:{");
      array_items(*items, where / "items");
      text("}");
    }
  }
  if (truthy(member(&value, "nullable"))) {
    comma(some);
    text("nullable:true");
  }
  if (type == "OBJECT") {
    const JsonTree* nested = member(&value, "properties");
    const bool given = nested != nullptr && nested->is_object();
    comma(some);
    text("properties:{");
    parameters(given ? *nested : value, given ? where / "properties" : where);
    text("}");
    if (const JsonTree* required = member(&value, "required"); truthy(required)) {
      comma(some);
      text("required:[");
      quoted_list(*required, where / "required");
      text("]");
    }
  }
  comma(some);
  text("type:");
  quoted(type);
  text("}");
}

void Renderer::quoted_list(const JsonTree& list, const Where& where) {
  bool some = false;
  for (const JsonTree& item : iterated(list, where)) {
    comma(some);
    quoted(python_str(item));
  }
}

/// The members of an array parameter's "items".
void Renderer::array_items(const JsonTree& items, const Where& where) {
  bool found = false;
  for (const auto* entry : dictsort(items)) {
    const auto& [key, value] = *entry;
    if (value.is_null()) continue;
    comma(found);
    if (key == "properties") {
      text("properties:{");
      if (value.is_object()) parameters(value, where / key);
      text("}");
    } else if (key == "required") {
      text("required:[");
      quoted_list(value, where / key);
      text("]");
    } else if (key == "type") {
      text("type:");
      if (value.is_string()) {
        quoted(python_upper(value.text));
      } else {
        JsonTree types = JsonTree::array();
        for (const JsonTree& item : iterated(value, where / key))
          types.items.push_back(JsonTree::string(shown_upper(&item)));
        argument(types, true);
      }
    } else {
      text(key);
      text(":");
      argument(value, true);
    }
  }
}

/// format_function_declaration
void Renderer::declaration(const JsonTree& tool, const Where& where) {
  const JsonTree* function = member(&tool, "function");
  const Where here = where / "function";
  if (function == nullptr || !function->is_object()) return fail(here, "an object", function);
  text("declaration:");
  text(string_at(function->find("name"), here / "name"));
  text("{description:");
  quoted(shown(function->find("description")));
  if (const JsonTree* parameter_schema = function->find("parameters"); truthy(parameter_schema)) {
    const Where inside = here / "parameters";
    text(",parameters:{");
    if (const JsonTree* properties = member(parameter_schema, "properties"); truthy(properties)) {
      text("properties:{");
      parameters(*properties, inside / "properties");
      text("},");
    }
    if (const JsonTree* required = member(parameter_schema, "required"); truthy(required)) {
      text("required:[");
      quoted_list(*required, inside / "required");
      text("],");
    }
    if (const JsonTree* type = member(parameter_schema, "type"); truthy(type)) {
      text("type:");
      quoted(shown_upper(type));
      text("}");
    }
  }
  if (const JsonTree* response = function->find("response"); response != nullptr) {
    text(",response:{");
    if (const JsonTree* description = member(response, "description"); truthy(description)) {
      text("description:");
      quoted(shown(description));
      text(",");
    }
    if (shown_upper(member(response, "type")) == "OBJECT") {
      text("type:");
      quoted("OBJECT");
      text("}");
    }
  }
  text("}");
}

/// format_argument
void Renderer::argument(const JsonTree& value, bool escape_keys) {
  bool some = false;
  switch (value.kind) {
    case JsonTree::Kind::kString:
      return quoted(value.text);
    case JsonTree::Kind::kTrue:
      return text("true");
    case JsonTree::Kind::kFalse:
      return text("false");
    case JsonTree::Kind::kObject:
      text("{");
      for (const auto* entry : dictsort(value)) {
        comma(some);
        if (escape_keys) {
          quoted(entry->first);
        } else {
          text(entry->first);
        }
        text(":");
        argument(entry->second, escape_keys);
      }
      return text("}");
    case JsonTree::Kind::kArray:
      text("[");
      for (const JsonTree& item : value.items) {
        comma(some);
        argument(item, escape_keys);
      }
      return text("]");
    default:
      return text(python_str(value));
  }
}

/// format_tool_response_block; a response that is not there counts as an empty list, as undefined does in Jinja.
void Renderer::tool_response(std::string_view name, const JsonTree* response) {
  marker("<|tool_response>");
  text("response:");
  text(name);
  text("{");
  if (response != nullptr && response->is_object()) {
    bool some = false;
    for (const auto* entry : dictsort(*response)) {
      comma(some);
      text(entry->first);
      text(":");
      argument(entry->second, false);
    }
  } else {
    text("value:");
    argument(response == nullptr ? JsonTree::array() : *response, false);
  }
  text("}");
  marker("<tool_response|>");
}

void Renderer::system_turn() {
  const bool has_system = role(0) == "system" || role(0) == "developer";
  const bool has_tools = python_true(input_.tools);
  if (!input_.enable_thinking && !has_tools && !has_system) return;
  marker("<|turn>");
  text("system\n");
  if (input_.enable_thinking) {
    marker("<|think|>");
    text("\n");
  }
  if (has_system) {
    text(python_strip(shown(at(0).find("content"))));
    first_ = 1;
  }
  const Where where(nullptr, "tools");
  for (size_t i = 0; i < input_.tools.items.size(); ++i) {
    marker("<|tool>");
    declaration(input_.tools.items[i], where / i);
    marker("<tool|>");
  }
  marker("<turn|>");
  text("\n");
}

/// True when the last message before this one that is no tool result is the assistant's too.
bool Renderer::continues_model_turn(size_t index) const {
  if (role(index) != "assistant" && role(index) != "model") return false;
  for (size_t i = index; i > first_; --i)
    if (role(i - 1) != "tool") return role(i - 1) == "assistant";
  return false;
}

void Renderer::thinking(const JsonTree& message, size_t index, const Where& where) {
  const char* key = truthy(message.find("reasoning")) ? "reasoning" : "reasoning_content";
  const JsonTree* reasoning = message.find(key);
  if (!truthy(reasoning) || index < after_user_ || !truthy(message.find("tool_calls"))) return;
  marker("<|channel>");
  text("thought\n");
  text(string_at(reasoning, where / key));
  text("\n");
  marker("<channel|>");
}

void Renderer::tool_calls(const JsonTree& calls, const Where& where) {
  if (!calls.is_array()) return fail(where, "an array", &calls);
  for (size_t i = 0; i < calls.items.size(); ++i) {
    const Where call = where / i, here = call / "function";
    const JsonTree* function = member(&calls.items[i], "function");
    if (function == nullptr || !function->is_object()) return fail(here, "an object", function);
    marker("<|tool_call>");
    text("call:");
    text(string_at(function->find("name"), here / "name"));
    text("{");
    const JsonTree* arguments = function->find("arguments");
    if (arguments != nullptr && arguments->is_object()) {
      bool some = false;
      for (const auto* entry : dictsort(*arguments)) {
        comma(some);
        text(entry->first);
        text(":");
        argument(entry->second, false);
      }
    } else if (arguments != nullptr && arguments->is_string()) {
      text(arguments->text);
    }
    text("}");
    marker("<tool_call|>");
  }
}

/// One message of role "tool", named after the call that it answers.
void Renderer::tool_message(const JsonTree& calls, const Where& calls_where, const JsonTree& result,
                            const Where& where) {
  const JsonTree* name = result.find("name");
  const JsonTree* result_id = result.find("tool_call_id");
  const auto same = [](const JsonTree* a, const JsonTree* b) {
    const bool no_a = a == nullptr || a->is_null(), no_b = b == nullptr || b->is_null();
    return no_a || no_b ? no_a == no_b : a->kind == b->kind && a->text == b->text;
  };
  for (size_t i = 0; i < calls.items.size(); ++i) {
    const Where call = calls_where / i;
    if (!calls.items[i].is_object()) return fail(call, "an object", &calls.items[i]);
    if (same(calls.items[i].find("id"), result_id)) name = member(member(&calls.items[i], "function"), "name");
  }
  if (name == nullptr || !name->is_string())
    return fail(where / "tool_call_id", "the id of a tool call before it, or a name beside it", result_id);
  const JsonTree* body = result.find("content");
  if (body == nullptr || !body->is_array()) {
    static const JsonTree kNull;
    return tool_response(name->text, body == nullptr ? &kNull : body);
  }
  std::string joined;
  for (const JsonTree& part : body->items)
    if (part.find("type")->text == "text") joined += part.find("text")->text;
  const JsonTree whole = JsonTree::string(std::move(joined));
  tool_response(name->text, &whole);
}

/// Results of the calls of this message: beside them, or in the tool messages that follow. True when there were any.
bool Renderer::tool_results(const JsonTree& message, size_t index, const Where& where) {
  const JsonTree* responses = message.find("tool_responses");
  if (truthy(responses)) {
    const Where list = where / "tool_responses";
    if (!responses->is_array()) return fail(list, "an array", responses), false;
    for (size_t i = 0; i < responses->items.size(); ++i) {
      const JsonTree& response = responses->items[i];
      const Where item = list / i;
      if (!response.is_object()) return fail(item, "an object", &response), false;
      const JsonTree* name = response.find("name");
      tool_response(name == nullptr ? "unknown" : string_at(name, item / "name"), response.find("response"));
    }
    return true;
  }
  const JsonTree* calls = message.find("tool_calls");
  if (!truthy(calls) || !calls->is_array()) return false;
  const Where messages(nullptr, "messages");
  bool any = false;
  for (size_t i = index + 1; i < count() && role(i) == "tool"; ++i) {
    tool_message(*calls, where / "tool_calls", at(i), messages / i);
    any = true;
  }
  return any;
}

/// strip_thinking for the model's words, trim for everybody else's.
void Renderer::spoken(std::string_view content, bool model) {
  if (!model) return text(python_strip(content));
  constexpr std::string_view kOpen = "<|channel>", kClose = "<channel|>";
  std::string kept;
  while (true) {
    const size_t close = content.find(kClose);
    const std::string_view part = content.substr(0, close);
    kept += part.substr(0, part.find(kOpen));
    if (close == std::string_view::npos) break;
    content.remove_prefix(close + kClose.size());
  }
  text(python_strip(kept));
}

/// True when the message held an image, audio or video.
bool Renderer::content(const JsonTree& message, bool model) {
  const JsonTree* content = message.find("content");
  if (content == nullptr || content->is_null()) return false;
  if (content->is_string()) return spoken(content->text, model), false;
  bool media = false;
  for (const JsonTree& item : content->items) {
    const std::string& type = item.find("type")->text;
    if (type == "text") {
      spoken(item.find("text")->text, model);
    } else {
      marker(base::concat("<|", type, "|>"));
      media = true;
    }
  }
  return media;
}

void Renderer::message(size_t index) {
  const JsonTree& message = at(index);
  const bool model = role(index) == "assistant" || role(index) == "model";
  const Where messages(nullptr, "messages");
  const Where where = messages / index;
  previous_ = Previous::kOther;
  if (!continues_model_turn(index)) {
    marker("<|turn>");
    text(model ? "model" : role(index));
    text("\n");
  }
  thinking(message, index, where);
  if (const JsonTree* calls = message.find("tool_calls"); truthy(calls)) {
    tool_calls(*calls, where / "tool_calls");
    previous_ = Previous::kToolCall;
  }
  const bool results = tool_results(message, index, where);
  if (results) previous_ = Previous::kToolResponse;
  if (content(message, model)) previous_ = Previous::kOther;
  if (previous_ == Previous::kToolCall && !results) {
    marker("<|tool_response>");
  } else if (!results || truthy(message.find("content"))) {
    marker("<turn|>");
    text("\n");
  }
}

Result<std::vector<ChatSegment>> Renderer::run() {
  marker("<bos>");
  system_turn();
  after_user_ = first_;
  for (size_t i = first_; i < count(); ++i)
    if (role(i) == "user") after_user_ = i + 1;
  for (size_t i = first_; i < count() && fault_.empty(); ++i)
    if (role(i) != "tool") message(i);
  if (!fault_.empty()) return Unexpected(ErrorCode::kInvalidRequest, fault_);
  if (input_.add_generation_prompt && previous_ == Previous::kOther) {
    marker("<|turn>");
    text("model\n");
    if (!input_.enable_thinking) {
      marker("<|channel>");
      text("thought\n");
      marker("<channel|>");
    }
  }
  return std::move(segments_);
}

}  // namespace

Result<std::vector<ChatSegment>> render_gemma4(const ChatInput& input) { return Renderer(input).run(); }

}  // namespace dgemma::text
