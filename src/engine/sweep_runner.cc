// See sweep_runner.h.
#include "engine/sweep_runner.h"

#include "base/format.h"
#include "base/limit_errors.h"
#include "base/memory.h"

namespace dgemma::engine {

SweepRunner::SweepRunner(const model::Model& model, const kernels::KernelTable& table, int threads)
    : model_(model),
      exec_(table, threads),
      workspace_(model::make_workspace()),
      queue_([this](std::span<const model::RowGroup> groups) { return sweep(groups); }) {}

Result<void> SweepRunner::sweep(std::span<const model::RowGroup> groups) {
  size_t rows = 0;  // whole lane blocks, as the workspace holds them
  for (const model::RowGroup& group : groups) rows += tensor::blocks_for(group.tokens.size()) * tensor::kLanes;
  Result<void> done = base::with_limit_errors("a sweep", [&]() -> Result<void> {
    DG_TRY(plan_workspace(rows));
    if (!workspace_) workspace_ = model::make_workspace();
    return model_.sweep(exec_, *workspace_, groups);
  });
  if (!done && done.error().code == ErrorCode::kOutOfMemory) {  // the workspace may have grown in part
    workspace_.reset();
    planned_rows_ = 0;
  }
  return done;
}

/// Says before it is taken that the workspace of a larger sweep does not fit. In company that is no error yet: the
/// queue then runs everybody alone.
Result<void> SweepRunner::plan_workspace(size_t rows) {
  if (rows <= planned_rows_) return {};
  const auto bytes = [this](size_t count) { return model_.workspace_bytes(static_cast<int>(count), threads()); };
  const uint64_t needed = bytes(rows) - bytes(planned_rows_);
  const uint64_t available = base::available_memory_bytes();
  if (needed > available)
    return Unexpected(
        ErrorCode::kOutOfMemory,
        base::concat("sweep: computing ", rows, " rows takes ", base::bytes_text(needed), " more of memory, ",
                     base::bytes_text(available), " are available. Close something"));
  planned_rows_ = rows;
  return {};
}

}  // namespace dgemma::engine
