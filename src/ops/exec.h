// Exec: what every operation needs to run: the kernel table, the team of threads, scratch memory for each worker.
//
// One Exec belongs to one caller at a time (in the engine, whoever leads its SweepQueue). Operations check shapes with
// DG_CHECK, since a wrong shape here is our bug; files and requests were checked above.
#pragma once

#include <algorithm>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "tensor/blocks.h"

namespace dgemma::ops {

class Exec {
 public:
  Exec(const kernels::KernelTable& table, int threads)
      : table_(table),
        pool_(threads),
        scratch_(static_cast<size_t>(threads)),
        weight_scratch_(static_cast<size_t>(threads)) {}

  const kernels::KernelTable& kernels() const { return table_; }
  int threads() const { return pool_.threads(); }

  /// How many of `rows` outputs a task gets: a multiple of `step`, at most `most`, and so few that each
  /// thread has four tasks: then threads end together.
  size_t rows_per_task(size_t rows, size_t step, size_t most) const {
    const size_t even = rows / (4 * static_cast<size_t>(threads()));
    return std::clamp(even / step * step, step, most);
  }

  /// Runs body(task, worker) for every task on the team.
  template <class Body>
  void run(size_t tasks, Body&& body) {
    pool_.run(tasks, body);
  }

  /// At least `floats` floats of this worker's own memory, 64-byte aligned, kept between calls and grown when needed;
  /// the content does not survive the next call of this worker.
  float* scratch(int worker, size_t floats) { return grown(scratch_[static_cast<size_t>(worker)], floats); }
  /// The same, for weights that are decoded or transposed before they are multiplied.
  float* weight_scratch(int worker, size_t floats) {
    return grown(weight_scratch_[static_cast<size_t>(worker)], floats);
  }
  /// The same, one for all workers: what an operation makes before its tasks and reads in them.
  float* shared(size_t floats) { return grown(shared_, floats); }
  /// Makes each worker's memory as large as the largest one's, and scratch at least `floats`: which worker runs a task
  /// is chance and must not decide whether a later step allocates.
  void even_out(size_t floats = 0) {
    for (const auto& buffer : scratch_) floats = std::max(floats, buffer.size());
    size_t weight_floats = 0;
    for (const auto& buffer : weight_scratch_) weight_floats = std::max(weight_floats, buffer.size());
    for (auto& buffer : scratch_) grown(buffer, floats);
    for (auto& buffer : weight_scratch_) grown(buffer, weight_floats);
  }

 private:
  static float* grown(tensor::AlignedBuffer<float>& buffer, size_t floats) {
    buffer.grow(floats);
    return buffer.data();
  }

  const kernels::KernelTable& table_;
  base::ThreadPool pool_;
  std::vector<tensor::AlignedBuffer<float>> scratch_, weight_scratch_;
  tensor::AlignedBuffer<float> shared_;
};

}  // namespace dgemma::ops
