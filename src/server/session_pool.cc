// See session_pool.h.
#include "server/session_pool.h"

#include <algorithm>
#include <utility>

namespace dgemma::server {
namespace {

constexpr size_t kMostIdle = 256;  // a bound on their number for models whose caches are tiny

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

Result<Session> SessionPool::take_or_make(std::span<const int32_t> prompt) {
  {
    const std::lock_guard lock(mutex_);
    auto best = idle_.end();
    size_t longest = 0;
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      const size_t shared = common_prefix(it->tokens(), prompt);
      if (shared > longest && shared * 2 >= it->tokens().size()) best = it, longest = shared;
    }
    if (best != idle_.end()) {
      Session session = std::move(*best);
      idle_.erase(best);
      return session;
    }
  }
  auto session = engine_.new_session(options_);
  if (!session && session.error().code == ErrorCode::kOutOfMemory && clear()) return engine_.new_session(options_);
  return session;
}

Result<Session> SessionPool::take(std::span<const int32_t> prompt) {
  DG_TRY_ASSIGN(Session session, take_or_make(prompt));
  if (const auto synced = session.sync_tokens(prompt); !synced) {
    give_back(std::move(session));
    return Unexpected(synced.error());
  }
  return session;
}

void SessionPool::give_back(Session session) {
  std::list<Session> gone;  // freed outside the lock
  const std::lock_guard lock(mutex_);
  if (session.memory_bytes() > 0) idle_.push_front(std::move(session));
  uint64_t bytes = 0;
  size_t count = 0;
  auto it = idle_.begin();
  for (; it != idle_.end(); ++it) {
    bytes += it->memory_bytes();
    if (bytes > most_bytes_ || ++count > kMostIdle) break;
  }
  gone.splice(gone.end(), idle_, it, idle_.end());
}

bool SessionPool::clear() {
  std::list<Session> gone;
  const std::lock_guard lock(mutex_);
  gone.swap(idle_);
  return !gone.empty();
}

SessionPool::Stats SessionPool::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats{idle_.size(), 0};
  for (const Session& session : idle_) stats.bytes += session.memory_bytes();
  return stats;
}

}  // namespace dgemma::server
