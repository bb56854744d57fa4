// Session: one conversation, one mutable timeline with one owner at a time.
//
// Sessions of one engine may answer at the same time, each on a thread of its own: they share the walks over the
// weights, so two cost little more than one, and none's answer depends on the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/events.h"
#include "dgemma/options.h"
#include "dgemma/result.h"
#include "dgemma/text.h"

namespace dgemma {

class Engine;
struct SessionState;

/// A whole answer.
struct Answer {
  std::string text;             ///< control tokens left out, except those that parsers need (tool and channel markers)
  std::vector<int32_t> tokens;  ///< committed, end tokens excluded
  uint64_t seed = 0;            ///< the one used
  Finished summary;
};

using EventCallback = std::function<void(const Event&)>;

class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Makes `ids` the timeline: keeps the cache up to the first token that differs; the rest is encoded by generate.
  /// Errors: kInvalidRequest (id outside the vocabulary, no ids), kContextFull.
  Result<void> sync_tokens(std::span<const int32_t> ids);
  /// The same for a conversation, rendered with the model's chat format; contents never become control tokens.
  /// Errors: kInvalidRequest, kUnsupported (as Engine::encode_chat), kContextFull.
  Result<void> sync_chat(const ChatRequest& request);
  /// The same for a chat request in OpenAI form as JSON text (docs/MODEL.md, "Chat").
  Result<void> sync_chat(std::string_view request_json);
  /// A further session of the same engine and context whose cache is a copy of this one's for the first `tokens` of the
  /// timeline: for another conversation with the same beginning. What is not in the cache, or no longer whole (sliding
  /// layers drop old positions), is not copied; then it has less, or nothing. Text is the same with or without.
  /// Errors: kOutOfMemory.
  Result<Session> fork(size_t tokens) const;
  /// The timeline as token ids.
  std::span<const int32_t> tokens() const;
  /// What the cache takes now, in bytes.
  uint64_t memory_bytes() const;

  /// Answers what was synced. Blocks; events arrive on this thread. After it the timeline is prompt + committed tokens.
  /// An answer that was stopped (GenerateOptions::stop) is not an error: its reason says so and what was committed
  /// stays. Errors: kInvalidRequest (sampler values, canvas ids), kContextFull, kOutOfMemory.
  Result<Answer> generate(const GenerateOptions& options, const EventCallback& on_event = {});

 private:
  friend class Engine;
  explicit Session(std::unique_ptr<SessionState> state);
  std::unique_ptr<SessionState> state_;
};

}  // namespace dgemma
