// Reads and checks chat requests, and turns rendered ones into text and ids. See chat.h; the template is in
// chat_template.cc. Test: tests/text/chat_test.cc.
#include <algorithm>
#include <array>

#include "base/format.h"
#include "text/chat.h"

namespace dgemma::text {
namespace {

Unexpected fault(const std::string& field, const std::string& expected, const JsonTree* got) {
  const std::string what = got == nullptr     ? "nothing"
                           : got->is_string() ? base::quoted(got->text)
                                              : std::string(got->kind_name());
  return Unexpected(ErrorCode::kInvalidRequest, base::concat(field, ": expected ", expected, ", got ", what));
}

/// True for null and for what is not there.
bool absent(const JsonTree* value) { return value == nullptr || value->is_null(); }

Result<bool> read_flag(const JsonTree& object, const char* key, const std::string& field, bool otherwise) {
  const JsonTree* value = object.find(key);
  if (absent(value)) return otherwise;
  if (!value->is_bool()) return fault(field, "true or false", value);
  return value->is_true();
}

Result<void> check_part(const JsonTree& part, const std::string& field) {
  constexpr std::array<std::string_view, 4> kTypes = {"text", "image", "audio", "video"};
  if (!part.is_object()) return fault(field, "an object", &part);
  const JsonTree* type = part.find("type");
  if (type == nullptr || !type->is_string() || std::find(kTypes.begin(), kTypes.end(), type->text) == kTypes.end())
    return fault(field + ".type", "text, image, audio or video", type);
  if (type->text != "text") return {};
  const JsonTree* text = part.find("text");
  if (text == nullptr || !text->is_string()) return fault(field + ".text", "a string", text);
  return {};
}

Result<void> check_message(const JsonTree& message, const std::string& field) {
  constexpr std::array<std::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "model", "tool"};
  if (!message.is_object()) return fault(field, "an object", &message);
  const JsonTree* role = message.find("role");
  if (role == nullptr || !role->is_string() || std::find(kRoles.begin(), kRoles.end(), role->text) == kRoles.end())
    return fault(field + ".role", "system, developer, user, assistant, model or tool", role);
  const JsonTree* content = message.find("content");
  if (absent(content) || content->is_string()) return {};
  if (!content->is_array()) return fault(field + ".content", "a string, an array of parts or null", content);
  for (size_t i = 0; i < content->items.size(); ++i)
    DG_TRY(check_part(content->items[i], base::concat(field, ".content[", i, "]")));
  return {};
}

Result<void> read_messages(const JsonTree& root, ChatInput& input) {
  const JsonTree* messages = root.find("messages");
  if (messages == nullptr || !messages->is_array()) return fault("messages", "an array of messages", messages);
  for (size_t i = 0; i < messages->items.size(); ++i)
    DG_TRY(check_message(messages->items[i], base::concat("messages[", i, "]")));
  input.messages = *messages;
  return {};
}

}  // namespace

Result<ChatRequest> ChatRequest::parse(std::string_view json_text) {
  DG_TRY_ASSIGN(const JsonTree root,
                parse_json(json_text, "chat request", ErrorCode::kInvalidRequest, RepeatedKeys::kRefused));
  if (!root.is_object()) return fault("chat request", "an object", &root);
  ChatInput input;
  DG_TRY(read_messages(root, input));
  if (const JsonTree* tools = root.find("tools"); !absent(tools)) {
    if (!tools->is_array()) return fault("tools", "an array", tools);
    input.tools = *tools;
  }
  if (const JsonTree* options = root.find("chat_template_kwargs"); !absent(options)) {
    if (!options->is_object()) return fault("chat_template_kwargs", "an object", options);
    for (const auto& member : options->members) {
      if (member.first != "enable_thinking")
        return Unexpected(
            ErrorCode::kInvalidRequest,
            base::concat("chat_template_kwargs: expected enable_thinking, got ", base::quoted(member.first)));
    }
    DG_TRY_ASSIGN(input.enable_thinking,
                  read_flag(*options, "enable_thinking", "chat_template_kwargs.enable_thinking", false));
  }
  DG_TRY_ASSIGN(input.add_generation_prompt, read_flag(root, "add_generation_prompt", "add_generation_prompt", true));
  return render(input);
}

Result<ChatRequest> ChatRequest::render(const ChatInput& input) {
  if (input.messages.items.empty())
    return Unexpected(ErrorCode::kInvalidRequest, "messages: expected at least one message, got none");
  ChatRequest request;
  DG_TRY_ASSIGN(request.segments_, render_gemma4(input));
  return request;
}

std::string render_chat(const ChatRequest& request) {
  std::string out;
  for (const ChatSegment& segment : request.segments()) out += segment.text;
  return out;
}

Result<std::vector<int32_t>> encode_chat(const ChatRequest& request, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const ChatSegment& segment : request.segments()) {
    if (!segment.is_marker) {
      const std::vector<int32_t> text = tokenizer.encode_plain(segment.text);
      ids.insert(ids.end(), text.begin(), text.end());
      continue;
    }
    const int32_t id = tokenizer.id_of(segment.text);
    if (id < 0) {
      return Unexpected(ErrorCode::kModelFile,
                        base::concat("tokenizer: expected the token ", base::quoted(segment.text),
                                     " of the Gemma 4 chat format, got a vocabulary without it. "
                                     "Give the prompt as text or ids instead"));
    }
    ids.push_back(id);
  }
  return ids;
}

bool is_chat_marker(std::string_view text) {
  constexpr std::array<std::string_view, 6> kOwn = {"<bos>", "<|turn>", "<turn|>", "<|think|>", "<|tool>", "<tool|>"};
  return is_answer_marker(text) || std::find(kOwn.begin(), kOwn.end(), text) != kOwn.end();
}

bool is_gemma4_template(std::string_view text) {
  for (const std::string_view marker : {"<|turn>", "<turn|>", "<|channel>"})
    if (text.find(marker) == std::string_view::npos) return false;
  return true;
}

}  // namespace dgemma::text
