// The most probable tokens of rows, kept while the vocabulary pass walks the table; part of it (vocabulary.h).
//
// Each row has a short list in descending order, one for each part of the table, so that a logit costs one comparison.
// Tokens come in ascending order and an equal one never passes another: so of equal tokens the lowest id comes first,
// however the table was cut. Test: tests/ops/top_tokens_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dgemma/events.h"

namespace dgemma::ops {

/// Puts a token into its place among `list`, whose last one goes; `list` is as it was where it has no place. While the
/// table is walked the logits stand for log-probabilities.
void take_top_token(const TopToken& token, std::span<TopToken> list);
/// Does so for a tile's logits z [tokens, 16] of ids from `first` on, and the lists [16, n] of the 16 rows.
void take_top_tokens(const float* z, size_t tokens, int32_t first, std::span<TopToken> lists);

}  // namespace dgemma::ops
