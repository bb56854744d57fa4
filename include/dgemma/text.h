// Tokenizer, conversations and chat format; without a model too: what `dgemma tokenize` and `dgemma render` use.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/result.h"

namespace dgemma {

class Tokenizer {
 public:
  /// From a tokenizer.json, a folder in Hugging Face layout or a .gguf. Errors: kNotFound, kIo, kModelFile.
  static Result<Tokenizer> open(const std::string& path);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Control-token text becomes control tokens, as the tokenizer's own encode does; no bos. Invalid UTF-8 becomes
  /// U+FFFD, one for each maximal invalid part.
  std::vector<int32_t> encode(std::string_view text) const;
  /// The same, but text never becomes a control token.
  std::vector<int32_t> encode_plain(std::string_view text) const;
  /// Control tokens are written as their text when `keep_control`, otherwise left out. Errors: kInvalidRequest (ids).
  Result<std::string> decode(std::span<const int32_t> ids, bool keep_control) const;
  /// What to draw for one token alone: its text, "" for a control token, U+FFFD for half a character.
  std::string piece(int32_t id) const;
  /// The bytes that a token stands for, half a character too; a control token's text; "" for an unknown id.
  std::string bytes(int32_t id) const;
  int vocab_size() const;
  int32_t bos_id() const;  ///< -1: none

  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl);

 private:
  friend class AnswerReader;
  std::shared_ptr<const Impl> impl_;
};

/// One call of a tool, as the model wrote it.
struct ToolCall {
  std::string name = {};
  std::string arguments = {};  ///< a JSON object as text
};

enum class ChatRole {
  kSystem,  ///< instructions, in the first message
  kUser,
  kAssistant,
  kTool,  ///< the result of a tool that the assistant's message before it called
};

/// One message of a conversation.
struct ChatMessage {
  ChatRole role = ChatRole::kUser;
  std::string content = {};               ///< never becomes control tokens; invalid UTF-8 becomes U+FFFD
  std::vector<ToolCall> tool_calls = {};  ///< of an assistant
  std::string tool = {};                  ///< of kTool: the name of the tool
};

/// What a model is asked to answer: a conversation that ends where its answer begins.
struct ChatRequest {
  std::vector<ChatMessage> messages = {};
  bool think = false;      ///< let it think in a channel of its own first (AnswerReader takes that apart)
  std::string tools = {};  ///< what it may call: a JSON array of tools in OpenAI form; "": nothing
};

/// Renders a request with the Gemma 4 chat format, exactly as its template does. Errors: kInvalidRequest, with the
/// field's name.
Result<std::string> render_chat(const ChatRequest& request);
/// The same for a request in OpenAI form as JSON text, which can hold more (docs/MODEL.md, "Chat").
Result<std::string> render_chat(std::string_view request_json);

/// What some tokens added to an answer.
struct AnswerDelta {
  std::string content;
  std::string reasoning;  ///< of the thought channel, without its markers and header
  std::vector<ToolCall> tool_calls;
};

/// Reads an answer as it grows, token by token if need be: the deltas joined are the same however it is cut. Half a
/// character, a marker that came in part and (kChat) an unfinished tool call are held back until more tokens decide.
class AnswerReader {
 public:
  enum class Form {
    kChat,          ///< channels and tool calls are taken apart (the Gemma 4 chat format)
    kWrittenCalls,  ///< channels only: tool calls are content, as the model wrote them
    kRaw,           ///< everything is content; control tokens are left out
  };
  AnswerReader(const Tokenizer& tokenizer, Form form);
  AnswerReader(AnswerReader&&) noexcept;
  AnswerReader& operator=(AnswerReader&&) noexcept;
  ~AnswerReader();

  /// Ids outside the vocabulary add nothing.
  AnswerDelta push(std::span<const int32_t> ids);
  /// The end of the answer: what was held back. Not to be pushed to afterwards.
  AnswerDelta finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dgemma
