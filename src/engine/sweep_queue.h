// SweepQueue: puts what several sessions want computed at the same time into common sweeps.
//
// A sweep reads all weights once, whoever's rows it carries, so two users in one sweep cost little more than one. There
// is no thread for it: of the sessions that wait, the first one that finds nobody at work leads. It gives those that
// are on their way back from the last sweep a short while to arrive (else two users would take turns for ever, each
// alone), takes who is there in order of arrival within SweepLimits, runs the sweep and hands out the results. What a
// session gets never depends on its company; the order of arrival decides about time only. Knows no model: the sweep
// is a function. Tests: tests/engine/sweep_queue_test.cc, with a scripted sweep; tests/engine/company_test.cc.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "dgemma/result.h"
#include "model/model.h"

namespace dgemma::engine {

struct SweepLimits {
  // Rows of one sweep, unless a single session asks for more: four canvases of 256. More rows save less and less, since
  // a sweep's arithmetic grows with them and its reading does not.
  size_t most_rows = 1024;
  // Of these, rows of sessions that only encode: what a prompt may add to the time of other people's steps.
  size_t most_prompt_rows = model::kPromptChunk;
  // The leader waits for sessions on their way back for this part of the last sweep's time, but never longer than
  // most_wait. One that is late is not waited for again until it came back, so a slow reader costs this once.
  double wait_share = 0.25;
  std::chrono::nanoseconds most_wait = std::chrono::milliseconds(50);
};

class SweepQueue {
 public:
  /// Computes the groups of one or several sessions, or fails and leaves all caches as they were.
  using Sweep = std::function<Result<void>(std::span<const model::RowGroup>)>;

  explicit SweepQueue(Sweep sweep, SweepLimits limits = {});
  SweepQueue(const SweepQueue&) = delete;
  SweepQueue& operator=(const SweepQueue&) = delete;

  /// A session for as long as it answers. Used by one thread at a time.
  class Rider {
   public:
    explicit Rider(SweepQueue& queue);
    ~Rider();
    Rider(const Rider&) = delete;
    Rider& operator=(const Rider&) = delete;

    /// Has the groups computed, in one sweep, alone or in company; waits for it. Errors: those of the sweep for these
    /// groups, never those of others; kCancelled also while it still waits.
    Result<void> run(std::span<const model::RowGroup> groups);
    /// Whether other sessions are answering too.
    bool has_company() const;

   private:
    friend class SweepQueue;
    SweepQueue& queue_;
    bool awaited_ = false;  // comes back soon, as far as is known
  };

  /// Tells sessions that wait to look at their cancel flags. Any thread.
  void wake();
  /// Sessions in line for a sweep, those that are being served not counted. Any thread.
  size_t waiting() const;

 private:
  enum class Place { kWaiting, kTaken, kDone };
  /// What one session waits for. Lives on its stack.
  struct Request {
    std::span<const model::RowGroup> groups;
    Rider* rider;
    size_t rows;
    bool only_encodes;
    Place place = Place::kWaiting;
    Result<void> outcome = {};
    Request* next = nullptr;  // in the batch

    bool cancelled() const;
  };

  Result<void> run(Rider& rider, std::span<const model::RowGroup> groups);
  void lead(std::unique_lock<std::mutex>& lock);
  void gather(std::unique_lock<std::mutex>& lock);
  void take();
  void compute();
  bool any_awaited() const;
  size_t waiting_rows() const;

  const Sweep sweep_;
  const SweepLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Rider*> riders_;
  std::vector<Request*> waiting_;  // in order of arrival
  bool led_ = false;               // somebody leads
  // Of the leader.
  Request* batch_ = nullptr;  // a list: a leader that found no memory for one would keep the lead
  std::vector<model::RowGroup> groups_;
  std::chrono::nanoseconds last_sweep_{0};
};

}  // namespace dgemma::engine
