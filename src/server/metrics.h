// Metrics: counts since the start, as Prometheus text for GET /metrics. docs/SERVER.md lists the names.
//
// Any thread; a scrape sees one moment. Test: tests/server/service_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "server/answer.h"

namespace dgemma::server {

/// What is so now, and not counted: asked for at each scrape.
struct Gauges {
  int waiting = 0;
  int active = 0;
  size_t idle_sessions = 0;
  uint64_t cache_bytes = 0;
  uint64_t weight_bytes = 0;
  uint64_t resident_bytes = 0;
  bool ready = false;
};

class Metrics {
 public:
  /// A response of an endpoint ("/v1/chat/completions"; "other" for what is none).
  void request(const std::string& endpoint, int status);
  void answer(const AnswerEnd& end);
  void failure(const std::string& code);
  std::string text(const Gauges& gauges) const;

 private:
  static constexpr std::array<int, 10> kStepBounds = {1, 2, 4, 6, 8, 12, 16, 24, 32, 48};

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
  std::map<std::string, uint64_t> answers_;  ///< by outcome
  uint64_t prompt_tokens_ = 0, cached_tokens_ = 0, committed_tokens_ = 0, steps_ = 0, canvases_ = 0;
  uint64_t cache_hits_ = 0, cache_misses_ = 0;
  std::array<uint64_t, kStepBounds.size()> canvases_within_{};  ///< canvases of at most so many steps
  double queue_s_ = 0;
  Timing time_;
};

}  // namespace dgemma::server
