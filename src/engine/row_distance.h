// Distance between what two models (or two precisions of one) predict for the same rows: KL divergence, best tokens.
//
// Exact, over the whole vocabulary, from the hidden states before the LM head: the two tables are walked together, a
// few thousand tokens at a time, with running sums per row in double precision. With p = softmax(a), q = softmax(b):
//
//     KL(p || q) = sum_v p_v (a_v - b_v) - log sum_v exp a_v + log sum_v exp b_v
//
// so one walk is enough: all three sums are kept relative to the largest logit so far, as in attention, and nothing of
// size [rows, V] is ever stored. Not symmetric: `a` is the reference. Test: tests/engine/compare_test.cc, against a
// direct computation.
#pragma once

#include <span>
#include <vector>

#include "dgemma/compare.h"
#include "ops/exec.h"
#include "ops/vocabulary.h"

namespace dgemma::engine {

/// One model's side: its LM head and the rows' hidden states.
struct HeadRows {
  ops::Exec& exec;
  const ops::VocabularyWeights& weights;
  tensor::ConstBlocks hidden;  ///< [B, D, 16], after the final norm
};

struct RowDistance {
  double kl = 0;       ///< KL(a || b) in nats
  int32_t best_a = 0;  ///< most probable token of a, the lowest id where several are equal
  int32_t best_b = 0;
  double p_a = 0;  ///< a's probability of best_a
  double p_b = 0;  ///< b's probability of best_b
};

/// Of the first `rows` rows, all at one temperature. Both sides have the same vocabulary and number of blocks.
std::vector<RowDistance> row_distances(const HeadRows& a, const HeadRows& b, double temperature, size_t rows);

DistanceSummary summarise(std::span<const RowDistance> rows);

}  // namespace dgemma::engine
