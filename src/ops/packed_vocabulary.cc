// See packed_vocabulary.h. The tile is transposed into a packed matrix of its own, [D, tokens] with scales of 1; the
// row scales that the transpose leaves over go to the probabilities, which then are the activations of a plain product.
#include "ops/packed_vocabulary.h"

#include "base/check.h"
#include "ops/packed_product.h"
#include "tensor/packed.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::DType;
using tensor::kLanes;
using tensor::kSuperblock;
using tensor::Weight;

void packed_weighted_sum(Exec& exec, int worker, const Weight& w, Blocks p, const float* rescale, Blocks out) {
  DG_CHECK(w.packed() && w.rows <= kSuperblock && p.features == w.rows && out.features == w.cols, w.rows, " rows, p ",
           p.features, ", out ", out.features);
  const size_t turned_bytes = tensor::packed_bytes(DType::kPacked8, tensor::superblocks_for(w.cols) * kSuperblock, 1);
  const size_t quantised = tensor::quantised_features(w.rows);
  float* memory = exec.panel(worker, turned_bytes / sizeof(float) + kSuperblock + p.blocks * quantised * kLanes);
  auto* turned = reinterpret_cast<uint8_t*>(memory);
  float* row_scale = memory + turned_bytes / sizeof(float);  // [64]
  const Blocks values{row_scale + kSuperblock, p.blocks, quantised, quantised * kLanes};

  const kernels::KernelTable& table = exec.kernels();
  const auto transpose = w.dtype == DType::kPacked4 ? table.transpose_packed4 : table.transpose_packed8;
  transpose(static_cast<const uint8_t*>(w.data), w.panel_stride, tensor::panels_for(w.rows), w.cols, turned, row_scale);
  for (size_t b = 0; b < p.blocks; ++b) {
    table.scale_features(p.block(b), row_scale, w.rows);
    table.quantise(p.block(b), w.rows, values.block(b));
  }
  const Weight columns{DType::kPacked8, turned, w.cols, w.rows, tensor::kSuperblockBytes8};
  packed_product_on_this_thread(exec, columns, values, p.blocks * kLanes, rescale, out);
}

}  // namespace dgemma::ops
