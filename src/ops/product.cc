// See product.h.
#include "ops/product.h"

#include <algorithm>

namespace dgemma::ops {
namespace {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::DType;
using tensor::kLanes;
using tensor::Weight;

// Outputs per task: enough work to be worth a task, few enough that the last tasks end together.
constexpr size_t kRowsPerTask = 48;

}  // namespace

void product_on_this_thread(const kernels::KernelTable& table, const Weight& w, ConstBlocks x, Blocks out) {
  DG_CHECK(w.cols == x.features && w.rows == out.features && x.blocks == out.blocks, "w [", w.rows, ",", w.cols,
           "] x [", x.blocks, ",", x.features, "] out [", out.blocks, ",", out.features, "]");
  if (w.dtype == DType::kBF16)
    table.product_bf16(w.bf16(), w.cols, x.data, x.block_stride, out.data, out.block_stride, x.blocks, w.rows, w.cols);
  else
    table.product_f32(w.f32(), w.cols, x.data, x.block_stride, out.data, out.block_stride, x.blocks, w.rows, w.cols);
}

void weighted_sum_on_this_thread(const kernels::KernelTable& table, const Weight& w, ConstBlocks p, const float* scale,
                                 Blocks out) {
  DG_CHECK(w.rows == p.features && w.cols == out.features && p.blocks == out.blocks, "w [", w.rows, ",", w.cols,
           "] p [", p.blocks, ",", p.features, "] out [", out.blocks, ",", out.features, "]");
  if (w.dtype == DType::kBF16)
    table.weighted_sum_bf16(w.bf16(), w.cols, p.data, p.block_stride, out.data, out.block_stride, scale, p.blocks,
                            w.cols, w.rows);
  else
    table.weighted_sum_f32(w.f32(), w.cols, p.data, p.block_stride, out.data, out.block_stride, scale, p.blocks, w.cols,
                           w.rows);
}

void product(Exec& exec, const Weight& w, ConstBlocks x, Blocks out) {
  DG_CHECK(w.rows == out.features, w.rows, " outputs for ", out.features);
  const size_t tasks = (w.rows + kRowsPerTask - 1) / kRowsPerTask;
  exec.run(tasks, [&](size_t task, int) {
    const size_t first = task * kRowsPerTask;
    const size_t count = std::min(kRowsPerTask, w.rows - first);
    product_on_this_thread(exec.kernels(), w.row_range(first, count), x, out.feature_range(first, count));
  });
}

void gated_product(Exec& exec, const Weight& gate, const Weight& up, ConstBlocks x, Blocks out) {
  DG_CHECK(gate.rows == up.rows && gate.rows == out.features, gate.rows, " ", up.rows, " ", out.features);
  const size_t tasks = (gate.rows + kRowsPerTask - 1) / kRowsPerTask;
  exec.run(tasks, [&](size_t task, int worker) {
    const size_t first = task * kRowsPerTask;
    const size_t count = std::min(kRowsPerTask, gate.rows - first);
    float* memory = exec.scratch(worker, x.blocks * count * kLanes);
    const Blocks up_out{memory, x.blocks, count, count * kLanes};  // [B, count, 16]
    const Blocks gate_out = out.feature_range(first, count);
    product_on_this_thread(exec.kernels(), gate.row_range(first, count), x, gate_out);
    product_on_this_thread(exec.kernels(), up.row_range(first, count), x, up_out);
    for (size_t b = 0; b < x.blocks; ++b)
      exec.kernels().gelu_mul(gate_out.block(b), up_out.block(b), gate_out.block(b), count);
  });
}

void rms_norm(Exec& exec, ConstBlocks x, const float* weight, float eps, Blocks out) {
  DG_CHECK(x.blocks == out.blocks && x.features == out.features, x.features, " ", out.features);
  exec.run(x.blocks,
           [&](size_t b, int) { exec.kernels().rms_norm(x.block(b), weight, eps, out.block(b), x.features); });
}

}  // namespace dgemma::ops
