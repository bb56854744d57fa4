// See bench_work.h.
#include "engine/bench_work.h"

#include <algorithm>

#include "base/check.h"
#include "tensor/packed.h"

namespace dgemma::engine {
namespace {

double row_bytes(const tensor::Weight& w) {
  // Not the stride: between panels of gate lie those of up.
  return w.packed() ? static_cast<double>(tensor::panel_bytes(w.dtype, w.cols)) / tensor::kPanelRows
                    : static_cast<double>(w.row_bytes());
}
double bytes_of(const tensor::Weight& w) { return static_cast<double>(w.rows) * row_bytes(w); }
double values_of(const tensor::Weight& w) { return static_cast<double>(w.rows) * static_cast<double>(w.cols); }

/// Keys that the rows of a sweep see, summed over the rows.
double seen_keys(const SweepShape& s, bool sliding, int window) {
  double sum = 0;
  for (int row = 0; row < s.rows; ++row) {
    const int before = s.denoise ? s.context : s.context + row + 1;
    sum += !sliding ? before : std::min(before, s.denoise ? window - 1 : window);
    if (s.denoise) sum += s.rows;
  }
  return sum;
}

/// Bytes of one cached number, from the cache's own plan.
double cached_value_bytes(const model::Model& model) {
  double values = 0;
  for (const model::LayerConfig& layer : model.config().layer) values += 2.0 * layer.kv_heads * layer.head_dim;
  return static_cast<double>(model.cache_bytes(1)) / values;
}

void add_product(const tensor::Weight& w, double rows, double SweepParts::*part, SweepWork& work) {
  if (!w) return;
  work.bytes.*part += bytes_of(w);
  work.operations.*part += 2 * rows * values_of(w);
}

void add_experts(const ops::ExpertWeights& e, double rows, double touched, SweepWork& work) {
  const double all = static_cast<double>(e.experts);
  // gate and up may be two views of one matrix, so their rows are counted, not their sizes.
  const double expert_bytes =
      static_cast<double>(e.width) * (row_bytes(e.gate) + row_bytes(e.up)) + bytes_of(e.down) / all;
  const double expert_values = 2.0 * static_cast<double>(e.width * e.gate.cols) + values_of(e.down) / all;
  work.bytes.experts += touched * expert_bytes;
  work.operations.experts += 2 * rows * static_cast<double>(e.used) * expert_values;
}

}  // namespace

SweepWork sweep_work(const model::Model& model, const SweepShape& shape) {
  const model::Config& c = model.config();
  const model::Weights& weights = model.weights();
  const double rows = shape.rows, value_bytes = cached_value_bytes(model);
  DG_CHECK(shape.touched_experts.size() == weights.layer.size(), shape.touched_experts.size(), " layers");
  SweepWork work;
  for (size_t i = 0; i < weights.layer.size(); ++i) {
    const model::LayerWeights& w = weights.layer[i];
    const model::LayerConfig& layer = c.layer[i];
    for (const tensor::Weight* p : {&w.k, &w.v}) add_product(*p, rows, &SweepParts::projections, work);
    if (shape.only_cache && i + 1 == weights.layer.size()) break;
    const double cached = layer.sliding ? std::min(shape.context, c.window - 1) : shape.context;
    work.bytes.attention += cached * 2 * layer.kv_heads * layer.head_dim * value_bytes;
    work.operations.attention += 4 * seen_keys(shape, layer.sliding, c.window) * c.heads * layer.head_dim;
    for (const tensor::Weight* p : {&w.q, &w.o}) add_product(*p, rows, &SweepParts::projections, work);
    for (const tensor::Weight* p : {&w.gate, &w.up, &w.down}) add_product(*p, rows, &SweepParts::dense, work);
    add_product(w.router, rows, &SweepParts::rest, work);
    add_experts(w.experts, rows, shape.touched_experts[i], work);
  }
  if (shape.denoise) {
    const model::SelfConditioningWeights& w = weights.self_conditioning;
    for (const tensor::Weight* p : {&w.gate, &w.up, &w.down}) add_product(*p, rows, &SweepParts::dense, work);
  }
  if (shape.vocabulary) {
    add_product(weights.vocabulary.head, rows, &SweepParts::vocabulary, work);
    const tensor::Weight &head = weights.vocabulary.head, &table = weights.vocabulary.embedding;
    if (shape.denoise) work.operations.vocabulary += 2 * rows * values_of(table);
    if (shape.denoise && table.data != head.data) work.bytes.vocabulary += bytes_of(table);
  }
  return work;
}

void set_limits(SweepWork& work, const MachineRoof& roof) {
  for (const BenchPart& part : kBenchParts) {
    const double ops_per_s = part.value == &SweepParts::rest        ? roof.f32_ops_per_s
                             : part.value == &SweepParts::attention ? roof.attention_ops_per_s
                                                                    : roof.product_ops_per_s;
    work.limit_s.*part.value =
        std::max(work.bytes.*part.value / roof.read_bytes_per_s, work.operations.*part.value / ops_per_s);
  }
}

}  // namespace dgemma::engine
