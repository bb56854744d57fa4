#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace dgemma::model {
namespace {

/// One sliding layer (window 5) and one full layer, rows of 2 floats, canvas of 3 (so a margin of 12 rows).
Config two_layers() {
  Config c;
  c.window = 5, c.canvas_length = 3;
  c.layer = {{true, 2, 1}, {false, 2, 1}};
  return c;
}

class Cache : public testing::TestWithParam<tensor::DType> {
 protected:
  static KvCache make() { return {two_layers(), GetParam()}; }
  static void append(KvCache& cache, int count) {
    cache.reserve(count);
    for (int64_t p = cache.length(); p < cache.length() + count; ++p)
      for (size_t layer = 0; layer < 2; ++layer) {
        put(cache.key_row(layer, p), 0, static_cast<float>(p % 128));  // small: exact in bf16
        put(cache.value_row(layer, p), 1, static_cast<float>(-p % 128));
      }
    cache.advance(count);
  }
  static void put(void* row, size_t i, float value) {
    if (GetParam() == tensor::DType::kF32)
      static_cast<float*>(row)[i] = value;
    else
      static_cast<uint16_t*>(row)[i] = tensor::float_to_bf16(value);
  }
  static float get(const void* row, size_t i) {
    return GetParam() == tensor::DType::kF32 ? static_cast<const float*>(row)[i]
                                             : tensor::bf16_to_float(static_cast<const uint16_t*>(row)[i]);
  }
};

TEST_P(Cache, keeps_every_row_of_full_layers_and_the_last_ones_of_sliding_layers) {
  KvCache cache = make();
  for (int i = 0; i < 500; ++i) append(cache, 1 + i % 7);
  EXPECT_EQ(cache.first_kept(1), 0);
  EXPECT_LE(cache.first_kept(0), cache.length() - 4);
  for (int64_t p = 0; p < cache.length(); ++p) ASSERT_EQ(get(cache.key_row(1, p), 0), static_cast<float>(p % 128));
  for (int64_t p = cache.first_kept(0); p < cache.length(); ++p) {
    ASSERT_EQ(get(cache.key_row(0, p), 0), static_cast<float>(p % 128));
    ASSERT_EQ(get(cache.value_row(0, p), 1), static_cast<float>(-p % 128));
  }
  EXPECT_EQ(cache.run(0).dtype, GetParam());
  EXPECT_EQ(cache.run(0).row_stride, 2u);
  EXPECT_EQ(cache.run(1).keys, cache.key_row(1, 0));
}

TEST_P(Cache, takes_no_more_than_was_planned) {
  Config config = two_layers();
  for (const int window : {5, 2000})  // less and more than a chunk
    for (const int positions : {1, 63, 64, 65, 400, 1000, 5000})
      for (const int chunk : {1, 7, 256, kPromptChunk}) {
        config.window = window;
        KvCache cache(config, GetParam());
        cache.plan(positions);
        while (cache.length() < positions) {
          append(cache, static_cast<int>(std::min<int64_t>(chunk, positions - cache.length())));
          ASSERT_LE(cache.bytes(), KvCache::planned_bytes(config, GetParam(), positions))
              << window << ": " << positions << " by " << chunk;
          ASSERT_LE(cache.first_kept(0), std::max<int64_t>(0, cache.length() - (window - 1)));
        }
      }
}

TEST_P(Cache, grows_past_the_plan_where_it_must) {
  KvCache cache = make();
  cache.plan(100);
  for (int i = 0; i < 30; ++i) append(cache, 10);
  for (int64_t p = 0; p < 300; ++p) ASSERT_EQ(get(cache.key_row(1, p), 0), static_cast<float>(p % 128));
}

TEST_P(Cache, memory_of_sliding_layers_stops_growing) {
  const auto sliding_alone = [](int positions) {
    Config config = two_layers();
    config.layer.pop_back();
    return KvCache::planned_bytes(config, GetParam(), positions);
  };
  EXPECT_LT(sliding_alone(500), sliding_alone(5000));
  EXPECT_EQ(sliding_alone(5000), sliding_alone(500000));
}

TEST_P(Cache, goes_back_within_the_margin_and_starts_anew_beyond_it) {
  KvCache cache = make();
  for (int i = 0; i < 900; ++i) append(cache, 1);  // more than a sliding layer ever has
  EXPECT_EQ(cache.truncate(890), 890);
  append(cache, 3);
  EXPECT_EQ(get(cache.key_row(0, 892), 0), 892.0f - 768.0f);
  EXPECT_EQ(cache.truncate(20), 0) << "the sliding layer no longer has rows 16..19";
  EXPECT_EQ(cache.length(), 0);
  append(cache, 2);
  EXPECT_EQ(get(cache.key_row(0, 1), 0), 1.0f);
}

TEST_P(Cache, four_canvases_back_are_always_kept) {
  Config config = two_layers();
  for (const int window : {5, 1024})
    for (const int canvas : {3, 100, 256, 400})  // four of them less and more than a chunk
      for (const int chunk : {1, 100, kPromptChunk}) {
        config.window = window, config.canvas_length = canvas;
        KvCache cache(config, GetParam());
        while (cache.length() < 5000) {
          append(cache, chunk);
          ASSERT_LE(cache.first_kept(0), std::max<int64_t>(0, cache.length() - 4 * canvas - (window - 1)))
              << window << ", canvas " << canvas << ", by " << chunk;
        }
        EXPECT_GT(cache.first_kept(0), 0);
      }
}

TEST_P(Cache, a_copy_has_the_beginning_and_goes_on_by_itself) {
  KvCache cache = make();
  for (int i = 0; i < 900; ++i) append(cache, 1);  // more than a sliding layer ever has
  KvCache copy = make(), none = make();
  EXPECT_EQ(copy.copy_beginning(cache, 890), 890);
  append(copy, 50);
  append(cache, 1);
  EXPECT_EQ(cache.length(), 901);
  ASSERT_EQ(copy.length(), 940);
  for (size_t layer = 0; layer < 2; ++layer)
    for (int64_t p = copy.first_kept(layer); p < 940; ++p) {
      ASSERT_EQ(get(copy.key_row(layer, p), 0), static_cast<float>(p % 128)) << layer << ' ' << p;
      ASSERT_EQ(get(copy.value_row(layer, p), 1), static_cast<float>(-p % 128)) << layer << ' ' << p;
    }
  EXPECT_LE(copy.first_kept(0), 890 - 4);
  EXPECT_EQ(copy.first_kept(1), 0);
  EXPECT_EQ(none.copy_beginning(cache, 20), 0) << "the sliding layer no longer has rows 16..19";
  EXPECT_EQ(none.bytes(), 0u);
}

TEST_P(Cache, goes_back_anywhere_while_nothing_was_dropped) {
  KvCache cache = make();
  append(cache, 10);
  EXPECT_EQ(cache.truncate(1), 1);
  EXPECT_EQ(cache.truncate(1), 1);
}

INSTANTIATE_TEST_SUITE_P(Types, Cache, testing::Values(tensor::DType::kF32, tensor::DType::kBF16),
                         [](const auto& test) { return std::string(tensor::info(test.param).name); });

TEST(KvCache, takes_half_of_the_memory_in_bf16) {
  for (const int positions : {1, 30, 5000})
    EXPECT_EQ(KvCache::planned_bytes(two_layers(), tensor::DType::kF32, positions),
              2 * KvCache::planned_bytes(two_layers(), tensor::DType::kBF16, positions));
  KvCache wide(two_layers(), tensor::DType::kF32), half(two_layers(), tensor::DType::kBF16);
  wide.reserve(300), half.reserve(300);
  EXPECT_EQ(wide.bytes(), 2 * half.bytes());
}

}  // namespace
}  // namespace dgemma::model
