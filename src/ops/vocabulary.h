// The vocabulary pass: LM head, softcap, temperature, softmax, entropy, sample and soft embedding in one walk over the
// embedding table, tile by tile, like attention whose keys and values are both the table. Nothing of size [rows, V].
//
// What leaves it is one small decision per row and, when asked for, the soft embedding [rows, D] that the next step is
// conditioned on. The table is cut into a fixed number of parts that are merged in order, so that threads never change
// a result. The seam for pinned tokens, allowed sets and biases by row is here: they change the logits of a tile.
// Sampling follows docs/MODEL.md "Random numbers": the sums of the tiles find the tile, its logits are computed once
// more to find the token. Tests: tests/ops/vocabulary_test.cc, against a direct softmax in double precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dgemma/events.h"
#include "ops/exec.h"
#include "tensor/weight.h"

namespace dgemma::ops {

struct VocabularyWeights {
  tensor::Weight head;       ///< [V, D]
  tensor::Weight embedding;  ///< [V, D]; the same memory as head where they are tied
  float softcap = 0;         ///< logits = softcap * tanh(z / softcap)
  float soft_scale = 1;      ///< factor of the soft embedding: sqrt(D)
};

/// What is decided for one row.
struct RowPrediction {
  int32_t best = 0;        ///< most probable token, the lowest id where several are equal
  int32_t sample = 0;      ///< drawn token
  float entropy = 0;       ///< nats
  float best_logprob = 0;  ///< nats
};

struct VocabularyQuery {
  tensor::ConstBlocks hidden;                  ///< [B, D, 16], after the final norm
  std::span<const float> inverse_temperature;  ///< [B], by block
  std::span<const double> uniform;             ///< [B * 16] in [0, 1), by row
  std::span<const uint8_t> want_soft;          ///< [B]: 0 where nobody needs the soft embedding
  std::span<RowPrediction> predictions;        ///< [B * 16]; rows of padding get something
  tensor::Blocks soft;                         ///< [B, D, 16]; not touched where it is not wanted
  std::span<const uint8_t> top = {};           ///< [B]: most probable tokens wanted of each row; empty: none
  std::span<TopToken> top_tokens = {};         ///< [B * 16, kMostTopTokens], of each row the first top[b] are written
  size_t rows = tensor::kAllRows;              ///< that count; the predictions of the others mean nothing
};

/// Memory that the pass works in; grows to the largest use and is kept.
struct VocabularyWorkspace {
  std::vector<kernels::SoftmaxLanes> stats;  // [parts, B]
  std::vector<double> tile_sum;              // [tiles, B * 16]
  std::vector<float> tile_max;               // [tiles, B * 16]: what the sums are relative to
  tensor::AlignedBuffer<float> soft_parts;   // [parts, B, D, 16]
  std::vector<TopToken> top_lists;           // [parts, B, 16, kMostTopTokens], where they are wanted

  /// Blocks that walk the table together at most.
  static constexpr size_t kMostBlocksTogether = 16;
  /// Floats of a worker's scratch for logits of packed rows: a run of them, and a factor for each row.
  static constexpr size_t scratch_floats(size_t blocks) { return blocks * tensor::kLanes * (kernels::kSummedRun + 1); }
  /// Bytes that it takes at most for `blocks` lane blocks.
  static uint64_t planned_bytes(const VocabularyWeights& weights, size_t blocks);
};

/// False where a row's logits are not finite (broken weights): its prediction means nothing then.
[[nodiscard]] bool vocabulary_pass(Exec& exec, const VocabularyWeights& weights, const VocabularyQuery& query,
                                   VocabularyWorkspace& workspace);

}  // namespace dgemma::ops
