// The mixture of experts: choose experts for each row, gather the rows of each expert, multiply, sum up.
//
// Every touched expert's weights are read once for all its rows. A row's experts are summed in ascending expert order,
// so the result does not depend on which other rows are there. Tests: tests/ops/experts_test.cc.
#pragma once

#include <span>
#include <vector>

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// The weights of one layer's experts.
struct ExpertWeights {
  tensor::Weight gate, up;  ///< expert e has rows e * stride .. e * stride + Fe - 1 of each; [.., D]
  size_t stride = 0;        ///< 2 Fe where gate and up alternate in one matrix (up then starts at its row Fe), else Fe
  tensor::Weight down;      ///< [E * D, Fe]
  size_t experts = 0;       ///< E
  size_t width = 0;         ///< Fe
  size_t used = 0;          ///< T, experts per row
};

/// Chosen experts by row: entry r * T + t, sorted by expert within a row.
struct Assignment {
  struct Entry {
    uint32_t expert;
    float weight;
  };
  std::vector<Entry> entries;
};

/// scores [B, E, 16]: softmax over E, the T largest (lower index first where equal), weights divided by their sum,
/// times per_expert_scale [E]. Only rows listed in `rows` get entries, in that order.
void choose_experts(tensor::ConstBlocks scores, std::span<const uint32_t> rows, const float* per_expert_scale,
                    size_t used, Assignment& out);

/// Memory that experts() works in; grows to the largest use and is kept.
class ExpertWorkspace {
 public:
  /// At most `rows` rows of `used` experts out of `experts`. D features in and out, Fe wide.
  void reserve(size_t rows, const ExpertWeights& weights, size_t features);

 private:
  friend void experts(Exec&, const ExpertWeights&, tensor::ConstBlocks, std::span<const uint32_t>, const Assignment&,
                      ExpertWorkspace&, tensor::Blocks);
  tensor::BlockMatrix input_;   // [slots, D]
  tensor::BlockMatrix hidden_;  // [slots, Fe]
  tensor::BlockMatrix output_;  // [slots, D]
  size_t slots_ = 0;
  std::vector<uint32_t> slot_of_;      // by assignment entry
  std::vector<uint32_t> row_of_;       // by slot; kNoRow for padding lanes
  std::vector<uint32_t> first_block_;  // by expert, experts + 1 entries: blocks of slots
};

/// out[row] = sum_t weight_t * down_t(gelu_tanh(gate_t x[row]) * up_t x[row]).  x, out [B, D, 16]; rows as given to
/// choose_experts; other rows of out are zero.
void experts(Exec& exec, const ExpertWeights& weights, tensor::ConstBlocks x, std::span<const uint32_t> rows,
             const Assignment& assignment, ExpertWorkspace& workspace, tensor::Blocks out);

}  // namespace dgemma::ops
