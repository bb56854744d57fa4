// See packed_product.h.
#include "ops/packed_product.h"

#include "base/check.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::DType;
using tensor::kLanes;
using tensor::Weight;

void packed_product_on_this_thread(Exec& exec, const Weight& w, ConstBlocks x, size_t tokens, const float* scale,
                                   Blocks out) {
  DG_CHECK(tensor::quantised_features(w.cols) == x.features && w.rows == out.features && tokens <= x.blocks * kLanes,
           "w [", w.rows, ",", w.cols, "] quantised x [", x.blocks, ",", x.features, "] out ", out.features);
  const kernels::KernelTable& table = exec.kernels();
  const auto product = w.dtype == DType::kPacked4 ? table.product_packed4 : table.product_packed8;
  product(static_cast<const uint8_t*>(w.data), w.panel_stride, x.data, x.block_stride, out.data, out.block_stride,
          scale, tokens, w.rows, w.cols);
}

}  // namespace dgemma::ops
