// The Gemma 4 chat format: a chat request in, the prompt out, as text or as token ids.
//
// Rendered exactly as the checkpoint's Jinja template does, by C++ written after it (chat_template.cc); there is no
// template engine here. The prompt is kept as segments, markers apart from everything else, so that encode_chat can
// place markers as ids and never take a marker out of what somebody wrote. Source: the template of the Gemma 4
// checkpoints (docs/MODEL.md, "Chat"). Test: tests/text/chat_test.cc, with conversations rendered by jinja2.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/result.h"
#include "text/json_tree.h"
#include "text/tokenizer.h"

namespace dgemma::text {

/// A run of prompt text: one marker ("<|turn>"), or text between markers.
struct ChatSegment {
  std::string text;
  bool is_marker = false;
};

/// What a request gives to the template, checked for its outer shape.
struct ChatInput {
  JsonTree messages;  ///< array of objects, not empty; roles and content types checked
  JsonTree tools;     ///< array, or null
  bool enable_thinking = false;
  bool add_generation_prompt = true;
};

/// A chat request in OpenAI form that can be rendered.
class ChatRequest {
 public:
  /// From JSON text: messages, tools, chat_template_kwargs.enable_thinking, add_generation_prompt (default true); other
  /// top-level fields are left to the caller, a key that stands twice in an object is refused. Everything that could go
  /// wrong in rendering is found here.
  /// Errors: kInvalidRequest, naming the field.
  static Result<ChatRequest> parse(std::string_view json_text);
  /// From what was read already. Errors: as parse.
  static Result<ChatRequest> render(const ChatInput& input);

  /// The prompt; no two text segments in a row, none empty.
  const std::vector<ChatSegment>& segments() const { return segments_; }

 private:
  std::vector<ChatSegment> segments_;
};

/// The prompt as the template writes it, "<bos>" first.
std::string render_chat(const ChatRequest& request);

/// The prompt as ids: what `tokenizer.encode(render_chat(request))` gives, but text within the request never becomes a
/// control token. Errors: kModelFile (the tokenizer lacks a marker that the prompt needs).
Result<std::vector<int32_t>> encode_chat(const ChatRequest& request, const Tokenizer& tokenizer);

/// True for the text of a token that the chat format is made of, images apart.
bool is_chat_marker(std::string_view token_text);

/// True for the text of a chat template that speaks the Gemma 4 format: the renderer above may stand for it.
bool is_gemma4_template(std::string_view template_text);

/// The template itself (chat_template.cc). Errors: kInvalidRequest.
Result<std::vector<ChatSegment>> render_gemma4(const ChatInput& input);

}  // namespace dgemma::text
