// The mixture of experts: choose experts for each row, gather the rows of each expert, multiply, sum up.
//
// Every touched expert's weights are read once for all its rows. A row's experts are summed in ascending expert order,
// so the result does not depend on which other rows are there. Rows come prepared (prepared_product.h) and are
// gathered: a prepared block of bf16 or integers is a half or a quarter of the bytes. What is between the two products
// is prepared where it is computed. An expert's rows come from all blocks, and so do a row's experts: out of lane
// blocks each of their values would be in another cache line. So what is gathered lies in rows, and squares of values
// are turned around on the way from and to lanes. Tests: tests/ops/experts_test.cc, packed_test.cc, bf16_test.cc.
#pragma once

#include <span>
#include <vector>

#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

/// The weights of one layer's experts: all of one arithmetic.
struct ExpertWeights {
  tensor::Weight gate, up;  ///< expert e has rows e * stride .. e * stride + Fe - 1 of each; [.., D]
  size_t stride = 0;        ///< 2 Fe where gate and up alternate in one matrix (up then starts at its row Fe), else Fe
                            ///< (packed: Fe in whole panels)
  tensor::Weight down;      ///< expert e has rows e * down_stride .. e * down_stride + D - 1; [.., Fe]
  size_t down_stride = 0;   ///< D (packed: in whole panels)
  size_t experts = 0;       ///< E
  size_t width = 0;         ///< Fe
  size_t used = 0;          ///< T, experts per row

  tensor::Arithmetic arithmetic() const { return gate.arithmetic(); }
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
void choose_experts(Exec& exec, tensor::ConstBlocks scores, std::span<const uint32_t> rows,
                    const float* per_expert_scale, size_t used, Assignment& out);

/// Where each expert's rows lie when they are gathered: those of expert 0, padded to whole blocks, then expert 1's, ...
struct ExpertSlots {
  std::vector<uint32_t> slot_of;      ///< by assignment entry
  std::vector<uint32_t> row_of;       ///< by slot; kNoRow for padding lanes
  std::vector<uint32_t> first_block;  ///< by expert, experts + 1 entries
  std::vector<uint32_t> tokens;       ///< by expert: slots that are no padding
  std::vector<uint32_t> by_size;      ///< experts that have rows, those with most first
  std::vector<uint32_t> next;         ///< by expert: its next free slot while they are filled

  static constexpr uint32_t kNoRow = ~uint32_t{0};
  size_t blocks() const { return first_block.back(); }
  tensor::Blocks blocks_of(tensor::Blocks all, size_t expert) const {
    return all.block_range(first_block[expert], first_block[expert + 1] - first_block[expert]);
  }
};

/// Outputs of a task of an expert's second product, whose sums are short. They pass through the worker's scratch: [rows of
/// the expert, kExpertOutputs].
inline constexpr size_t kExpertOutputs = 256;
/// So many rows of an expert are few: each of its products is one task, in which its weights are one stream from memory.
/// Scratch: [kExpertRows, 2 Fe] or [kExpertRows, D].
inline constexpr size_t kExpertRows = 48;

/// Memory that experts() works in; grows to the largest use and is kept.
struct ExpertWorkspace {
  ExpertSlots slots;
  tensor::AlignedBuffer<float> rows;    // [B * 16, D], prepared where that is needed: x as rows
  tensor::BlockMatrix input;            // [slots, D], prepared where that is needed
  tensor::BlockMatrix hidden;           // [slots, Fe], prepared where that is needed
  tensor::AlignedBuffer<float> output;  // [slots, D] as rows; or a lane block [D, 16]
  size_t features = 0;                  // D
  size_t reserved = 0;                  // slots
  bool summed = false;                  // `output` is a lane block and the sum already
  std::vector<uint32_t> index_of;       // by row of x: its place in the list of rows

  /// Bytes that it takes at most for `rows` rows, their Assignment among them.
  static uint64_t planned_bytes(const ExpertWeights& weights, size_t rows);
};

/// down_t(gelu_tanh(gate_t x[row]) * up_t x[row]) of each row's experts t, into the workspace.  x [B, D, 16] prepared;
/// rows as given to choose_experts.
void experts(Exec& exec, const ExpertWeights& weights, tensor::ConstBlocks x, std::span<const uint32_t> rows,
             const Assignment& assignment, ExpertWorkspace& workspace);
/// Then, on this thread: out[row] = sum_t weight_t * what expert t gave, for the rows of one block; other rows of out
/// [D, 16] are zero.
void sum_of_experts(Exec& exec, int worker, const Assignment& assignment, size_t used, const ExpertWorkspace& workspace,
                    size_t block, float* out);

}  // namespace dgemma::ops
