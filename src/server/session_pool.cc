// See session_pool.h.
#include "server/session_pool.h"

#include <algorithm>
#include <utility>

namespace dgemma::server {
namespace {

constexpr size_t kMostIdle = 256;     // a bound on their number for models whose caches are tiny
constexpr size_t kWorthCopying = 32;  // tokens; fewer are encoded in the time of a step

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

SessionPool::Match SessionPool::find(std::span<const int32_t> prompt) {
  Match match{idle_.end(), idle_.end()};
  for (auto it = idle_.begin(); it != idle_.end(); ++it) {
    const size_t shared = common_prefix(it->tokens(), prompt);
    if (shared > match.kept && shared * 2 >= it->tokens().size()) match.session = it, match.kept = shared;
    if (shared > match.copied) match.beginning = it, match.copied = shared;
  }
  return match;
}

std::optional<Session> SessionPool::take_or_copy(std::span<const int32_t> prompt) {
  const std::lock_guard taking(taking_);
  std::unique_lock lock(mutex_);
  Match match = find(prompt);
  if (match.copied >= match.kept + kWorthCopying) {
    // A copy may take a part of a second, in which sessions can come back: only those who take one wait for it, as its
    // owner may be among them.
    std::list<Session> original;
    original.splice(original.begin(), idle_, match.beginning);
    lock.unlock();
    auto copy = original.front().fork(match.copied);
    lock.lock();
    idle_.splice(idle_.begin(), original);  // it was of use
    if (copy && copy->tokens().size() > match.kept) return std::move(*copy);
    match = find(prompt);  // some may have gone
  }
  if (match.session == idle_.end()) return std::nullopt;
  Session session = std::move(*match.session);
  idle_.erase(match.session);
  return session;
}

Result<Session> SessionPool::take_or_make(std::span<const int32_t> prompt) {
  if (auto session = take_or_copy(prompt)) return std::move(*session);
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
