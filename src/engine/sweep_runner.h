// SweepRunner: the one place where a loaded model computes. Sessions on any thread hand in their row groups.
//
// Owns the team of threads and the workspace; one sweep at a time. Who shares a sweep is the queue's business
// (sweep_queue.h). Tests: tests/engine/session_test.cc, company_test.cc.
#pragma once

#include <memory>
#include <span>

#include "engine/sweep_queue.h"
#include "model/model.h"

namespace dgemma::engine {

class SweepRunner {
 public:
  SweepRunner(const model::Model& model, const kernels::KernelTable& table, int threads);

  /// Where sessions get in line.
  SweepQueue& queue() { return queue_; }
  int threads() const { return exec_.threads(); }

 private:
  Result<void> sweep(std::span<const model::RowGroup> groups);
  Result<void> plan_workspace(size_t rows);

  const model::Model& model_;
  ops::Exec exec_;
  std::unique_ptr<model::Workspace, void (*)(model::Workspace*)> workspace_;  // null after a sweep without memory
  size_t planned_rows_ = 0;                                                   // what the workspace was checked for
  SweepQueue queue_;
};

}  // namespace dgemma::engine
