// See packed_product.h.
#include "ops/packed_product.h"

#include <algorithm>

#include "base/check.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::DType;
using tensor::kLanes;
using tensor::Weight;

size_t quantised_floats(ConstBlocks x) { return x.blocks * tensor::quantised_features(x.features) * kLanes; }

Blocks quantise(Exec& exec, ConstBlocks x, float* memory) {
  const size_t features = tensor::quantised_features(x.features);
  const Blocks out{memory, x.blocks, features, features * kLanes};
  exec.run(x.blocks, [&](size_t b, int) { exec.kernels().quantise(x.block(b), x.features, out.block(b)); });
  return out;
}

void packed_product_on_this_thread(Exec& exec, const Weight& w, ConstBlocks x, size_t tokens, const float* scale,
                                   Blocks out) {
  DG_CHECK(tensor::quantised_features(w.cols) == x.features && w.rows == out.features && tokens <= x.blocks * kLanes,
           "w [", w.rows, ",", w.cols, "] quantised x [", x.blocks, ",", x.features, "] out ", out.features);
  const kernels::KernelTable& table = exec.kernels();
  const auto product = w.dtype == DType::kPacked4 ? table.product_packed4 : table.product_packed8;
  product(static_cast<const uint8_t*>(w.data), w.panel_stride, x.data, x.block_stride, out.data, out.block_stride,
          scale, tokens, w.rows, w.cols);
}

void packed_product(Exec& exec, const Weight& w, ConstBlocks x, Blocks out) {
  const Blocks quantised = quantise(exec, x, exec.shared(quantised_floats(x)));
  const size_t tasks = (w.rows + kPackedRowsPerTask - 1) / kPackedRowsPerTask;
  exec.run(tasks, [&](size_t task, int) {
    const size_t first = task * kPackedRowsPerTask;
    const size_t count = std::min(kPackedRowsPerTask, w.rows - first);
    packed_product_on_this_thread(exec, w.row_range(first, count), quantised, x.blocks * kLanes, nullptr,
                                  out.feature_range(first, count));
  });
}

void packed_gated_product(Exec& exec, const Weight& gate, const Weight& up, ConstBlocks x, Blocks out) {
  const Blocks quantised = quantise(exec, x, exec.shared(quantised_floats(x)));
  const size_t tasks = (gate.rows + kPackedRowsPerTask - 1) / kPackedRowsPerTask;
  exec.run(tasks, [&](size_t task, int worker) {
    const size_t first = task * kPackedRowsPerTask;
    const size_t count = std::min(kPackedRowsPerTask, gate.rows - first);
    const Blocks up_out{exec.scratch(worker, x.blocks * count * kLanes), x.blocks, count, count * kLanes};
    const Blocks gate_out = out.feature_range(first, count);
    const size_t tokens = x.blocks * kLanes;
    packed_product_on_this_thread(exec, gate.row_range(first, count), quantised, tokens, nullptr, gate_out);
    packed_product_on_this_thread(exec, up.row_range(first, count), quantised, tokens, nullptr, up_out);
    for (size_t b = 0; b < x.blocks; ++b)
      exec.kernels().gelu_mul(gate_out.block(b), up_out.block(b), gate_out.block(b), count);
  });
}

}  // namespace dgemma::ops
