#include "model/kv_cache.h"

#include <gtest/gtest.h>

namespace dgemma::model {
namespace {

/// One sliding layer (window 5) and one full layer, rows of 2 floats, canvas of 3 (so a margin of 12 rows).
Config two_layers() {
  Config c;
  c.window = 5, c.canvas_length = 3;
  c.layer = {{true, 2, 1}, {false, 2, 1}};
  return c;
}

void append(KvCache& cache, int count) {
  cache.reserve(count);
  for (int64_t p = cache.length(); p < cache.length() + count; ++p)
    for (size_t layer = 0; layer < 2; ++layer) {
      cache.key_row(layer, p)[0] = static_cast<float>(p);
      cache.value_row(layer, p)[1] = static_cast<float>(-p);
    }
  cache.advance(count);
}

TEST(KvCache, keeps_every_row_of_full_layers_and_the_last_ones_of_sliding_layers) {
  KvCache cache(two_layers());
  for (int i = 0; i < 500; ++i) append(cache, 1 + i % 7);
  EXPECT_EQ(cache.first_kept(1), 0);
  EXPECT_LE(cache.first_kept(0), cache.length() - 4);
  for (int64_t p = 0; p < cache.length(); ++p) ASSERT_EQ(cache.key_row(1, p)[0], static_cast<float>(p));
  for (int64_t p = cache.first_kept(0); p < cache.length(); ++p) {
    ASSERT_EQ(cache.key_row(0, p)[0], static_cast<float>(p));
    ASSERT_EQ(cache.value_row(0, p)[1], static_cast<float>(-p));
  }
}

TEST(KvCache, memory_of_sliding_layers_stops_growing) {
  KvCache cache(two_layers());
  append(cache, 400);
  const uint64_t full_row = 2 * 2 * sizeof(float);
  EXPECT_LT(cache.bytes(), KvCache::planned_bytes(two_layers(), 400) * 2);
  append(cache, 1);
  const int64_t before = static_cast<int64_t>(cache.bytes());
  for (int i = 0; i < 300; ++i) append(cache, 1);
  EXPECT_LT(static_cast<int64_t>(cache.bytes()) - before, static_cast<int64_t>(700 * full_row));
}

TEST(KvCache, goes_back_within_the_margin_and_starts_anew_beyond_it) {
  KvCache cache(two_layers());
  for (int i = 0; i < 200; ++i) append(cache, 1);
  EXPECT_EQ(cache.truncate(190), 190);
  append(cache, 3);
  EXPECT_EQ(cache.key_row(0, 192)[0], 192.0f);
  EXPECT_EQ(cache.truncate(20), 0) << "the sliding layer no longer has rows 16..19";
  EXPECT_EQ(cache.length(), 0);
  append(cache, 2);
  EXPECT_EQ(cache.key_row(0, 1)[0], 1.0f);
}

TEST(KvCache, goes_back_anywhere_while_nothing_was_dropped) {
  KvCache cache(two_layers());
  append(cache, 10);
  EXPECT_EQ(cache.truncate(1), 1);
  EXPECT_EQ(cache.truncate(1), 1);
}

}  // namespace
}  // namespace dgemma::model
