// See product.h.
#include "ops/product.h"

#include <algorithm>

#include "base/check.h"
#include "ops/prepared_product.h"
#include "tensor/packed.h"
#include "tensor/quant/quant.h"

namespace dgemma::ops {
namespace {

using tensor::Arithmetic;
using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::DType;
using tensor::kLanes;
using tensor::Weight;

// Outputs per task: whole register blocks of the kernels (6, 8, 12) or whole panels, up to what is worth a task: for a
// few rows of x more, since each packed product has to gather them.
struct TaskRows {
  size_t step, most;
};
TaskRows task_rows(const Weight& w, size_t rows) {
  return w.packed() ? TaskRows{2 * tensor::kPanelRows, rows <= kFewRows ? size_t{512} : size_t{128}} : TaskRows{12, 48};
}

// Rows decoded at a time: a multiple of the kernels' register blocks (6, 8, 12), and for 2,816 columns a quarter of a
// 1 MiB second-level cache.
constexpr size_t kDecodedRows = 24;

// Weights in f32 that are few beside many rows (a router's) are read by each task, for as many blocks of x as stay in a
// second-level cache meanwhile. Cut along the outputs, all of x would go through that cache for each few of them.
constexpr size_t kFewWeightBytes = size_t{2} << 20;
constexpr size_t kMostBlocks = 4;  // 720 KB of 2,816 features

/// Blocks of x per task.
size_t task_blocks(const Exec& exec, const Weight& w, size_t blocks) {
  const size_t tasks = 2 * static_cast<size_t>(exec.threads());
  const bool few = w.arithmetic() == Arithmetic::kF32 && w.rows * w.row_bytes() <= kFewWeightBytes;
  return few && blocks >= tasks ? std::min(blocks / tasks, kMostBlocks) : blocks;
}

/// The product for some outputs and some blocks of x from first_block on.
void multiply_part(Exec& exec, int worker, const Weight& w, ConstBlocks x, size_t rows, size_t first_block,
                   Blocks out) {
  prepared_product_on_this_thread(exec, worker, w, x.block_range(first_block, out.blocks),
                                  tensor::rows_in(rows, first_block, out.blocks), out);
}

}  // namespace

Weight direct_rows(Exec& exec, int worker, const Weight& w) {
  if (w.is_direct()) return w;
  float* panel = exec.weight_scratch(worker, w.rows * w.cols);
  const auto index = kernels::decode_index(w.dtype);
  DG_CHECK(index, "no decoder for ", tensor::info(w.dtype).name);
  exec.kernels().decode[*index](reinterpret_cast<const uint8_t*>(w.row(0)), w.rows * w.cols, panel);
  return {DType::kF32, panel, w.rows, w.cols};
}

void product_on_this_thread(Exec& exec, int worker, const Weight& w, ConstBlocks x, Blocks out) {
  DG_CHECK(w.cols == x.features && w.rows == out.features && x.blocks == out.blocks, "w [", w.rows, ",", w.cols,
           "] x [", x.blocks, ",", x.features, "] out [", out.blocks, ",", out.features, "]");
  const kernels::KernelTable& table = exec.kernels();
  const size_t panel = w.is_direct() ? w.rows : kDecodedRows;
  for (size_t first = 0; first < w.rows; first += panel) {
    const size_t count = std::min(panel, w.rows - first);
    const Weight rows = direct_rows(exec, worker, w.row_range(first, count));
    const Blocks part = out.feature_range(first, count);
    if (rows.dtype == DType::kBF16)
      table.product_bf16(rows.bf16(), w.cols, x.data, x.block_stride, part.data, part.block_stride, x.blocks, count,
                         w.cols);
    else
      table.product_f32(rows.f32(), w.cols, x.data, x.block_stride, part.data, part.block_stride, x.blocks, count,
                        w.cols);
  }
}

void weighted_sum_on_this_thread(Exec& exec, const Weight& w, ConstBlocks p, const float* scale, Blocks out) {
  DG_CHECK(w.rows == p.features && w.cols == out.features && p.blocks == out.blocks, "w [", w.rows, ",", w.cols,
           "] p [", p.blocks, ",", p.features, "] out [", out.blocks, ",", out.features, "]");
  const kernels::KernelTable& table = exec.kernels();
  if (w.dtype == DType::kBF16)
    table.weighted_sum_bf16(w.bf16(), w.cols, p.data, p.block_stride, out.data, out.block_stride, scale, p.blocks,
                            w.cols, w.rows);
  else
    table.weighted_sum_f32(w.f32(), w.cols, p.data, p.block_stride, out.data, out.block_stride, scale, p.blocks, w.cols,
                           w.rows);
}

void decode_row(const Weight& w, size_t row, float* out) {
  DG_CHECK(row < w.rows, "row ", row, " of ", w.rows);
  if (w.packed())
    tensor::unpack_row(w, row, out);
  else
    tensor::quant::decode(w.dtype, w.row(row), w.cols, out);
}

void products(Exec& exec, std::span<const Product> all, ConstBlocks x, size_t rows) {
  const Weight& first_w = all.front().w;
  const Arithmetic kind = first_w.arithmetic();
  size_t outputs = 0;
  for (const Product& p : all) {
    DG_CHECK(p.w.rows == p.out.features && p.out.blocks <= x.blocks, p.w.rows, " outputs for ", p.out.features);
    DG_CHECK(p.w.arithmetic() == kind, "products of the same x are multiplied in the same way");
    outputs += p.w.rows;
  }
  const auto [step, most] = task_rows(first_w, rows);
  const size_t run = all.size() == 1 ? task_blocks(exec, first_w, all.front().out.blocks) : x.blocks;
  if (run < all.front().out.blocks) {
    const Product& p = all.front();
    return exec.run((p.out.blocks + run - 1) / run, [&](size_t task, int worker) {
      const Blocks out = p.out.block_range(task * run, std::min(run, p.out.blocks - task * run));
      multiply_part(exec, worker, p.w, x, rows, x.blocks - p.out.blocks + task * run, out);
    });
  }
  const size_t share = exec.rows_per_task(outputs, step, most);
  const auto tasks_of = [&](const Product& p) { return p.out.blocks == 0 ? 0 : (p.w.rows + share - 1) / share; };
  size_t tasks = 0;
  for (const Product& p : all) tasks += tasks_of(p);
  exec.run(tasks, [&](size_t task, int worker) {
    const Product* p = all.data();
    for (; task >= tasks_of(*p); ++p) task -= tasks_of(*p);
    const size_t first = task * share, count = std::min(share, p->w.rows - first);
    multiply_part(exec, worker, p->w.row_range(first, count), x, rows, x.blocks - p->out.blocks,
                  p->out.feature_range(first, count));
  });
}

void prepared_product(Exec& exec, const Weight& w, ConstBlocks x, Blocks out, size_t rows) {
  const Product one{w, out};
  products(exec, {&one, 1}, x, rows);
}

void product(Exec& exec, const Weight& w, ConstBlocks x, Blocks out, size_t rows) {
  prepared_product(exec, w, prepare(exec, w.arithmetic(), x, exec.shared(prepared_floats(w.arithmetic(), x))), out,
                   rows);
}

void gated_product(Exec& exec, const Weight& gate, const Weight& up, ConstBlocks x, Arithmetic next, Blocks out,
                   size_t rows) {
  DG_CHECK(gate.rows == up.rows && out.features == prepared_features(next, gate.rows), gate.rows, " ", up.rows, " ",
           out.features);
  DG_CHECK(gate.arithmetic() == up.arithmetic(), "gate and up are multiplied in the same way");
  const auto [step, most] = task_rows(gate, rows);
  const size_t whole = std::max(step, prepared_together(exec, next));  // both are even
  const size_t share = exec.rows_per_task(gate.rows, whole, std::max(most, whole));
  exec.run((gate.rows + share - 1) / share, [&](size_t task, int worker) {
    const size_t first = task * share, count = std::min(share, gate.rows - first);
    gated_product_on_this_thread(exec, worker, gate.row_range(first, count), up.row_range(first, count), x,
                                 tensor::rows_in(rows, 0, x.blocks), next,
                                 out.feature_range(prepared_features(next, first), prepared_features(next, count)));
  });
}

void rms_norm(Exec& exec, ConstBlocks x, const float* weight, float eps, Blocks out) {
  DG_CHECK(x.blocks == out.blocks && x.features == out.features, x.features, " ", out.features);
  exec.run(x.blocks,
           [&](size_t b, int) { exec.kernels().rms_norm(x.block(b), weight, eps, out.block(b), x.features); });
}

}  // namespace dgemma::ops
