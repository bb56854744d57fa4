// Record: what a session reported while it answered, for tests that say "the same, bit by bit".
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "dgemma/events.h"

namespace dgemma {

/// Everything that a session reports, as bytes: floats are compared by their bits.
class Record {
 public:
  void operator()(const Event& event) {
    if (const auto* draft = std::get_if<CanvasDraft>(&event)) {
      add(std::span(&draft->step, 1)), add(std::span(&draft->mean_entropy, 1)), add(draft->input), add(draft->best);
      add(draft->sample), add(draft->next), add(draft->accepted), add(draft->entropy), add(draft->best_logprob);
    } else if (const auto* done = std::get_if<Committed>(&event)) {
      add(done->canvas_tokens), add(done->tokens);
    }
  }
  bool operator==(const Record&) const = default;

 private:
  template <class T>
  void add(std::span<T> values) {
    const auto* first = reinterpret_cast<const char*>(values.data());
    bytes_.insert(bytes_.end(), first, first + values.size_bytes());
  }
  std::vector<char> bytes_;
};

}  // namespace dgemma
