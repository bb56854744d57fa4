// What a sweep has to do at least: bytes to read and operations to compute, part by part, from sizes and from how many
// experts its rows chose.
//
// The roofline's other half (machine_rates.h measures the roof). Every weight that a row needs counts once, padding,
// activations and whatever is recomputed do not: the distance to the limit is then all ours. Test:
// tests/engine/bench_work_test.cc, with sizes worked out by hand.
#pragma once

#include <span>

#include "dgemma/bench.h"
#include "model/model.h"

namespace dgemma::engine {

struct SweepShape {
  int rows = 0;
  int context = 0;                            ///< positions in the cache
  bool denoise = false;                       ///< else causal
  bool vocabulary = false;                    ///< LM head for every row; with denoise the soft embedding too
  bool only_cache = false;                    ///< nothing but keys and values is wanted (model::RowGroup::only_cache)
  std::span<const int> touched_experts = {};  ///< by layer, as the sweep that is meant has counted them
};

/// Bytes and operations; limit_s stays empty. Requires touched_experts of every layer.
SweepWork sweep_work(const model::Model& model, const SweepShape& shape);

/// What the machine can do. The router is computed in f32 whatever the products are computed in.
struct MachineRoof {
  double read_bytes_per_s = 0;
  double product_ops_per_s = 0;
  double attention_ops_per_s = 0;  ///< of bf16 unless the products are in f32
  double f32_ops_per_s = 0;
};

/// Sets limit_s, part by part: the longer of reading the bytes and computing the operations.
void set_limits(SweepWork& work, const MachineRoof& roof);

}  // namespace dgemma::engine
