// AnswerJob: one request's answers, made in one place of the scheduler, prompt by prompt: each choice is one
// Session::generate.
//
// Joins the request, a session of the pool, the assembler and the sink. Whatever goes wrong reaches the sink: a job
// never ends without done() or failed(). Test: tests/server/service_test.cc.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "dgemma/session.h"
#include "server/answer.h"
#include "server/scheduler.h"
#include "server/session_pool.h"

namespace dgemma::server {

/// Hears of finished answers, for metrics and the log. Called on the job's thread.
struct AnswerObserver {
  virtual ~AnswerObserver() = default;
  virtual void on_event(const Event& event) = 0;
  virtual void on_end(const AnswerEnd& end) = 0;
  /// After the last choice, before the client hears of it.
  virtual void on_done() = 0;
  virtual void on_error(const ApiError& error) = 0;
  /// Last, when the client has it all: for what it need not wait for.
  virtual void on_told() = 0;
};

class AnswerJob : public Job {
 public:
  AnswerJob(const Engine& engine, SessionPool& pool, AnswerRequest request, std::unique_ptr<AnswerSink> sink,
            std::unique_ptr<AnswerObserver> observer);

  void run() override;
  void cancel() override { stop_.request_stop(); }

 private:
  Result<void> run_choices();
  Result<AnswerUsage> run_choice(int index, int choice, Session& session);
  void fail(const ApiError& error);

  const Engine& engine_;
  SessionPool& pool_;
  AnswerRequest request_;
  std::unique_ptr<AnswerSink> sink_;
  std::unique_ptr<AnswerObserver> observer_;
  std::chrono::steady_clock::time_point submitted_ = std::chrono::steady_clock::now();
  AnswerUsage total_;
  std::stop_source stop_;
};

}  // namespace dgemma::server
