// See packed_vocabulary.h.
#include "ops/packed_vocabulary.h"

#include "base/check.h"
#include "tensor/packed.h"

namespace dgemma::ops {

using tensor::DType;
using tensor::kLanes;

PackedWeightedSum::PackedWeightedSum(Exec& exec, int worker, const tensor::Weight& w, size_t blocks)
    : table_(exec.kernels()), w_(w), row_scale_(exec.weight_scratch(worker, scratch_floats(blocks))) {
  DG_CHECK(w.packed() && w.rows <= kMostSummedRows, w.rows, " rows");
  const size_t quantised = tensor::quantised_features(w.rows);
  prepared_ = {row_scale_ + kMostSummedRows, blocks, quantised, quantised * kLanes};
}

void PackedWeightedSum::begin_run(size_t first, size_t rows) {
  const tensor::Weight run = w_.row_range(first, rows);
  const auto row_scales = w_.dtype == DType::kPacked4 ? table_.row_scales4 : table_.row_scales8;
  row_scales(static_cast<const uint8_t*>(run.data), w_.panel_stride, tensor::panels_for(rows), w_.cols,
             row_scale_ + first);
}

void PackedWeightedSum::put(size_t block, size_t first, const float* p, size_t rows) {
  DG_CHECK(first % kernels::kSummedRun == 0 && first + rows <= w_.rows, first, " + ", rows, " of ", w_.rows);
  table_.quantise_probabilities(p, row_scale_ + first, rows,
                                prepared_.block(block) + tensor::quantised_features(first) * kLanes);
}

void PackedWeightedSum::rescale(size_t block, size_t end, const float* factor) {
  table_.rescale_probabilities(prepared_.block(block), factor, end);
}

void PackedWeightedSum::add_to(tensor::Blocks out, const float* rescale) const {
  DG_CHECK(out.blocks == prepared_.blocks && out.features == w_.cols, out.blocks, " blocks of ", out.features);
  const auto sum = w_.dtype == DType::kPacked4 ? table_.weighted_sum_packed4 : table_.weighted_sum_packed8;
  sum(static_cast<const uint8_t*>(w_.data), w_.panel_stride, row_scale_, prepared_.data, prepared_.block_stride,
      out.data, out.block_stride, rescale, out.blocks, w_.cols, w_.rows);
}

}  // namespace dgemma::ops
