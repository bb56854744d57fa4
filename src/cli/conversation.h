// Conversation: what was said so far, as the chat request that a session is synced to and as the file of /save.
//
// The file is a request in OpenAI form. What a model thought is kept beside its answer in the file but never sent
// again. Test: tests/cli/conversation_test.cc.
#pragma once

#include <string>
#include <vector>

#include "dgemma/result.h"
#include "dgemma/text.h"

namespace dgemma::cli {

struct Message {
  ChatRole role = ChatRole::kUser;  ///< or kAssistant
  std::string content;
  std::string reasoning;  ///< the thought channel of an assistant's message
};

struct Conversation {
  std::string system;  ///< "" for none
  bool think = false;
  std::vector<Message> messages;

  void add(ChatRole role, std::string content, std::string reasoning = "") {
    messages.push_back({role, std::move(content), std::move(reasoning)});
  }
  /// What a session is synced to.
  ChatRequest request() const;
  /// Writes the conversation as JSON, readable by `dgemma render` too: to a file beside `path` first, then renamed, so
  /// that `path` is whole at any time. Errors: kIo.
  Result<void> save(const std::string& path) const;
  /// Reads what save wrote, or any chat request whose messages are text. Errors: kNotFound, kIo, kInvalidRequest with
  /// the place.
  static Result<Conversation> load(const std::string& path);
};

}  // namespace dgemma::cli
