// SweepRunner: the one place where a loaded model computes. Sessions on any thread hand in their row groups.
//
// Owns the team of threads and the workspace; one sweep at a time. Tests: tests/engine/session_test.cc.
#pragma once

#include <memory>
#include <mutex>
#include <span>

#include "model/model.h"

namespace dgemma::engine {

class SweepRunner {
 public:
  SweepRunner(const model::Model& model, const kernels::KernelTable& table, int threads)
      : model_(model), exec_(table, threads), workspace_(model::make_workspace()) {}

  /// Runs the groups of one session in one sweep; waits for its turn. Any thread. Errors: as Model::sweep.
  Result<void> run(std::span<const model::RowGroup> groups) {
    const std::lock_guard turn(mutex_);
    return model_.sweep(exec_, *workspace_, groups);
  }
  int threads() const { return exec_.threads(); }

 private:
  const model::Model& model_;
  std::mutex mutex_;
  ops::Exec exec_;
  std::unique_ptr<model::Workspace, void (*)(model::Workspace*)> workspace_;
};

}  // namespace dgemma::engine
