// See packed_vocabulary.h. 64 columns of the rows at a time are transposed into a packed matrix of their own, [64,
// tokens] with scales of 1, and multiplied while it is near; the row scales that the transpose leaves over go to the
// probabilities, which are the activations of that product.
#include "ops/packed_vocabulary.h"

#include <algorithm>

#include "base/check.h"
#include "ops/packed_product.h"
#include "tensor/packed.h"

namespace dgemma::ops {

using tensor::Blocks;
using tensor::DType;
using tensor::kLanes;
using tensor::kPanelRows;
using tensor::kSuperblock;
using tensor::Weight;

void packed_weighted_sum(Exec& exec, int worker, const Weight& w, Blocks p, const float* rescale, Blocks out) {
  DG_CHECK(w.packed() && w.rows <= kMostSummedRows && p.features == w.rows && out.features == w.cols, w.rows,
           " rows, p ", p.features, ", out ", out.features);
  const kernels::KernelTable& table = exec.kernels();
  const bool four = w.dtype == DType::kPacked4;
  const auto row_scales = four ? table.row_scales4 : table.row_scales8;
  const auto transpose = four ? table.transpose_packed4 : table.transpose_packed8;

  const size_t quantised = tensor::quantised_features(w.rows),
               turned_stride = tensor::panel_bytes(DType::kPacked8, w.rows);
  float* memory = exec.weight_scratch(worker, kMostSummedRows + p.blocks * quantised * kLanes +
                                                  kSuperblock / kPanelRows * turned_stride / sizeof(float));
  float* row_scale = memory;  // [tokens]
  const Blocks values{row_scale + kMostSummedRows, p.blocks, quantised, quantised * kLanes};
  auto* turned = reinterpret_cast<uint8_t*>(values.data + p.blocks * quantised * kLanes);  // [64, tokens]

  const auto* panels = static_cast<const uint8_t*>(w.data);
  row_scales(panels, w.panel_stride, tensor::panels_for(w.rows), w.cols, row_scale);
  for (size_t b = 0; b < p.blocks; ++b) {
    table.scale_features(p.block(b), row_scale, w.rows);
    table.quantise(p.block(b), w.rows, values.block(b));
  }
  for (size_t first = 0; first < w.cols; first += kSuperblock) {
    const uint8_t* columns = panels + tensor::panel_bytes(w.dtype, first);
    for (size_t row = 0; row < w.rows; row += kSuperblock)
      transpose(columns + row / kPanelRows * w.panel_stride, w.panel_stride,
                tensor::panels_for(std::min(kSuperblock, w.rows - row)), row_scale + row,
                turned + tensor::panel_bytes(DType::kPacked8, row), turned_stride);
    const size_t count = std::min(kSuperblock, w.cols - first);
    packed_product_on_this_thread(exec, {DType::kPacked8, turned, count, w.rows, turned_stride}, values,
                                  p.blocks * kLanes, rescale, out.feature_range(first, count));
  }
}

}  // namespace dgemma::ops
