// MemoryLedger: memory that sessions have been promised and have not taken yet.
//
// A session's cache grows while it answers, long after it was found to fit. So that two sessions do not count on the
// same free bytes, what is promised and not taken stands here and is not available to others; one that does not fit
// gets an error of its own instead of all of them an end by the kernel. Test: tests/engine/memory_ledger_test.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace dgemma::engine {

class MemoryLedger {
 public:
  /// One session's share. Used by one thread at a time; different ones by any threads.
  class Promise {
   public:
    explicit Promise(MemoryLedger& ledger) : ledger_(ledger) {}
    ~Promise() { keep(0); }
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;

    /// Makes this a promise of `bytes` if they fit beside all others into `available`; else it stays what it was.
    /// Returns what is available to this session.
    uint64_t ask(uint64_t bytes, uint64_t available) {
      const std::lock_guard lock(ledger_.mutex_);
      const uint64_t others = ledger_.promised_ - bytes_;
      const uint64_t left = available - std::min(available, others);
      if (bytes <= left) set(bytes);
      return left;
    }
    /// Some of it was taken, or is not needed any more: `bytes` are left.
    void keep(uint64_t bytes) {
      const std::lock_guard lock(ledger_.mutex_);
      set(bytes);
    }

   private:
    void set(uint64_t bytes) {
      ledger_.promised_ += bytes - bytes_;
      bytes_ = bytes;
    }
    MemoryLedger& ledger_;
    uint64_t bytes_ = 0;
  };

 private:
  std::mutex mutex_;
  uint64_t promised_ = 0;
};

}  // namespace dgemma::engine
