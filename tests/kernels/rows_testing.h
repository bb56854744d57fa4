// The products of tokens as rows against those of lane blocks of the same table: the same bits.
#pragma once

#include <algorithm>

#include "kernels/kernel_testing.h"

namespace dgemma::kernels::testing {

/// Values for both forms: x as rows [tokens, k] and as lane blocks [k, 16], all at page ends.
struct RowsCase {
  size_t tokens, n, k, ldw;
  size_t words = k / 2;  // pairs of a token
  size_t blocks = (tokens + kLanes - 1) / kLanes;
  PageEnd<uint16_t> w;   // [n, k]
  PageEnd<float> x;      // [tokens, words]
  PageEnd<float> lanes;  // [blocks, words, 16]

  RowsCase(size_t token_count, size_t rows, size_t columns, size_t ld_extra = 0)
      : tokens(token_count),
        n(rows),
        k(columns),
        ldw(columns + ld_extra),
        w((rows - 1) * ldw + columns),
        x(tokens * words),
        lanes(blocks * words * kLanes) {
    Values values(static_cast<uint32_t>(tokens * 10007 + n * 101 + k));
    values.fill(w);
    for (float& word : x) {
      const uint16_t pair[2] = {values.next_bf16(), values.next_bf16()};
      std::memcpy(&word, pair, sizeof word);
    }
    std::fill(lanes.begin(), lanes.end(), std::numeric_limits<float>::quiet_NaN());  // nothing of other lanes is used
    for (size_t t = 0; t < tokens; ++t)
      for (size_t i = 0; i < words; ++i) lanes[((t / kLanes) * words + i) * kLanes + t % kLanes] = x[t * words + i];
  }

  void check_product(const KernelTable& t) const {
    SCOPED_TRACE(::testing::Message() << tokens << " tokens, n " << n << " k " << k);
    PageEnd<float> want(blocks * n * kLanes), got(tokens * n);
    std::fill(got.begin(), got.end(), -1.0f);
    t.product_pairs(w.data(), ldw, lanes.data(), words * kLanes, want.data(), n * kLanes, blocks, n, k);
    t.product_rows_pairs(w.data(), ldw, x.data(), words, got.data(), n, tokens, n, k);
    for (size_t i = 0; i < got.size(); ++i) {
      const size_t token = i / n, row = i % n;
      ASSERT_EQ(got[i], want[((token / kLanes) * n + row) * kLanes + token % kLanes]) << token << " " << row;
    }
  }

  /// The weighted sum of the n rows of w over their k columns; x serves as sums, whatever is in it as weights.
  void check_weighted_sum(const KernelTable& t) const {
    SCOPED_TRACE(::testing::Message() << tokens << " tokens, " << n << " rows of " << k);
    Values values(static_cast<uint32_t>(n * 7 + k));
    const size_t depth = (n + 1) / 2;
    PageEnd<float> p(depth * kLanes), scale(kLanes), c(tokens * k), block(k * kLanes);
    PageEnd<uint32_t> side_by_side(depth * k);
    values.fill(scale);
    values.fill(c);
    PageEnd<float> plain(n * kLanes);
    values.fill(plain);
    t.round_pairs(plain.data(), n, p.data());
    for (size_t i = 0; i < block.size(); ++i) block[i] = i % kLanes < tokens ? c[i % kLanes * k + i / kLanes] : 0.0f;
    t.interleave_rows(w.data(), ldw, n, k, side_by_side.data());
    t.weighted_sum_pairs(side_by_side.data(), k, p.data(), 0, block.data(), 0, scale.data(), 1, k, 2 * depth);
    t.weighted_sum_rows_pairs(w.data(), ldw, p.data(), c.data(), k, scale.data(), tokens, k, n);
    for (size_t i = 0; i < c.size(); ++i) ASSERT_EQ(c[i], block[i % k * kLanes + i / k]) << i / k << " " << i % k;
  }
};

}  // namespace dgemma::kernels::testing
