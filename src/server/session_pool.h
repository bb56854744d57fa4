// SessionPool: the caches of recent conversations, kept between requests within a bound of memory.
//
// A request takes the idle session whose timeline shares the longest beginning with its prompt, and gives it back
// afterwards; the least recently used go first. A session is taken over only by a request that keeps at least half of
// it, so that one user's new conversation does not wipe out another's cache. Of others a long beginning, such as a
// system prompt, is copied. Any threads. Test: tests/server/session_pool_test.cc.
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <span>

#include "dgemma/engine.h"
#include "dgemma/session.h"

namespace dgemma::server {

class SessionPool {
 public:
  SessionPool(const Engine& engine, SessionOptions options, uint64_t most_bytes)
      : engine_(engine), options_(options), most_bytes_(most_bytes) {}

  /// A session for this prompt, already synced to it. Errors: those of Engine::new_session and Session::sync_tokens.
  Result<Session> take(std::span<const int32_t> prompt);
  void give_back(Session session);
  /// Frees what idle sessions hold; true where there was something.
  bool clear();

  struct Stats {
    size_t idle = 0;
    uint64_t bytes = 0;  ///< of idle sessions
  };
  Stats stats() const;

 private:
  Result<Session> take_or_make(std::span<const int32_t> prompt);
  /// What idle sessions share with a prompt.
  struct Match {
    std::list<Session>::iterator session, beginning;  ///< to take over, and to copy from; the end for none
    size_t kept = 0, copied = 0;                      ///< tokens
  };
  Match find(std::span<const int32_t> prompt);
  /// An idle session, or a copy of the beginning of one; nothing where neither is worth it.
  std::optional<Session> take_or_copy(std::span<const int32_t> prompt);

  const Engine& engine_;
  SessionOptions options_;
  uint64_t most_bytes_;
  std::mutex taking_;  ///< one taker at a time; locked before `mutex_`
  mutable std::mutex mutex_;
  std::list<Session> idle_;  ///< most recently used first
};

}  // namespace dgemma::server
