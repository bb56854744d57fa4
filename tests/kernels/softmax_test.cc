// softmax_tile: against one pass in double precision, whatever the cut into tiles, with masked keys, ties and extremes.
// softmax_pairs: against softmax_tile.
#include <algorithm>

#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"

namespace dgemma::kernels::testing {
namespace {

using Softmax = EachTable;
DG_FOR_EACH_TABLE(Softmax);

SoftmaxLanes empty_stats() {
  SoftmaxLanes s{};
  for (float& m : s.max) m = -kInf;
  return s;
}

// The whole softmax, tile by tile; what was summed is kept in step with rescale as a caller does it.
struct Online {
  SoftmaxLanes stats = empty_stats();
  std::vector<double> summed = std::vector<double>(kLanes);  // sum of the values over all tiles, rescaled

  void run(const KernelTable& t, const PageEnd<float>& logits, size_t tile, int32_t first = 0) {
    const size_t count = logits.size() / kLanes;
    for (size_t i = 0; i < count; i += tile) {
      const size_t n = std::min(tile, count - i);
      PageEnd<float> z(n * kLanes);
      std::copy(logits.begin() + i * kLanes, logits.begin() + (i + n) * kLanes, z.begin());
      float rescale[kLanes];
      double tile_sum[kLanes];
      t.softmax_tile(z.data(), n, first + static_cast<int32_t>(i), &stats, rescale, tile_sum);
      for (size_t lane = 0; lane < kLanes; ++lane) {
        double sum = 0;
        for (size_t j = 0; j < n; ++j) sum += z[j * kLanes + lane];
        ASSERT_NEAR(tile_sum[lane], sum, 8 * kUnit * sum);  // runs of 8 are summed in f32
        summed[lane] = summed[lane] * rescale[lane] + sum;
      }
    }
  }
};

struct Exact {
  double max = -HUGE_VAL, sum = 0, weighted = 0;
  int32_t best = 0;
};

Exact exact(const PageEnd<float>& logits, size_t lane, int32_t first = 0) {
  Exact e;
  for (size_t i = lane; i < logits.size(); i += kLanes)
    if (logits[i] > e.max) {
      e.max = logits[i];
      e.best = first + static_cast<int32_t>(i / kLanes);
    }
  for (size_t i = lane; i < logits.size(); i += kLanes) {
    if (logits[i] == -kInf) continue;
    e.sum += std::exp(logits[i] - e.max);
    e.weighted += std::exp(logits[i] - e.max) * (logits[i] - e.max);
  }
  return e;
}

// An exponential is within 2 ulp plus the rounding of its argument (|d| * 2^-24), a run of 8 adds 8 roundings, a
// rescaled tile a few more.
void expect_close(const Online& got, const PageEnd<float>& logits, double argument, int32_t first = 0) {
  const double bound = kUnit * (16 + 2 * argument);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const Exact want = exact(logits, lane, first);
    ASSERT_EQ(got.stats.max[lane], static_cast<float>(want.max)) << lane;
    ASSERT_EQ(got.stats.best[lane], want.best) << lane;
    ASSERT_NEAR(got.stats.sum[lane], want.sum, bound * want.sum) << lane;
    ASSERT_NEAR(got.stats.weighted[lane], want.weighted, bound * std::fabs(want.weighted) + 1e-35) << lane;
    ASSERT_NEAR(got.summed[lane], want.sum, bound * want.sum) << lane;
  }
}

TEST_P(Softmax, any_cut_into_tiles_gives_the_statistics_of_the_whole) {
  for (const size_t count : {1, 2, 3, 7, 8, 9, 64, 65, 200})
    for (const size_t tile : {1, 3, 8, 64, 200}) {
      PageEnd<float> z(count * kLanes);
      Values(static_cast<uint32_t>(count)).fill(z, 20);
      Online online;
      online.run(table(), z, tile, 100);
      expect_close(online, z, 40, 100);
    }
}

TEST_P(Softmax, equal_logits_keep_the_lowest_index) {
  for (size_t count = 1; count <= 9; ++count)
    for (const size_t tile : {1, 2, 3, 9}) {
      PageEnd<float> z(count * kLanes);
      for (size_t i = 0; i < z.size(); ++i) z[i] = (i / kLanes) < i % kLanes ? 1.0f : 5.0f;  // the peak starts at lane
      Online online;
      online.run(table(), z, tile);
      for (size_t lane = 0; lane < kLanes; ++lane)
        ASSERT_EQ(online.stats.best[lane], lane < count ? static_cast<int32_t>(lane) : 0) << count << " " << tile;
    }
}

TEST_P(Softmax, masked_keys_count_nothing) {
  PageEnd<float> z(40 * kLanes);
  Values(3).fill(z, 5);
  for (size_t i = 0; i < z.size(); ++i)
    if ((i / kLanes + i) % 3 != 0 && i >= kLanes) z[i] = -kInf;
  for (const size_t tile : {1, 5, 40}) {
    Online online;
    online.run(table(), z, tile);
    expect_close(online, z, 10);
  }
}

TEST_P(Softmax, a_lane_that_sees_nothing_stays_empty_until_it_sees_something) {
  PageEnd<float> z(3 * kLanes);
  for (float& v : z) v = -kInf;
  SoftmaxLanes stats = empty_stats();
  float rescale[kLanes];
  table().softmax_tile(z.data(), 3, 0, &stats, rescale, nullptr);
  for (const float v : z) EXPECT_EQ(v, 0.0f);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(rescale[lane], 1.0f);
    EXPECT_EQ(stats.max[lane], -kInf);
    EXPECT_EQ(stats.sum[lane], 0.0);
    EXPECT_EQ(stats.weighted[lane], 0.0);
    z[kLanes + lane] = 2.0f;
    z[lane] = z[2 * kLanes + lane] = -kInf;
  }
  table().softmax_tile(z.data(), 3, 3, &stats, rescale, nullptr);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(z[kLanes + lane], 1.0f);
    EXPECT_EQ(rescale[lane], 0.0f);
    EXPECT_EQ(stats.best[lane], 4);
    EXPECT_EQ(stats.sum[lane], 1.0);
    EXPECT_EQ(stats.weighted[lane], 0.0);
  }
}

TEST_P(Softmax, far_smaller_logits_become_zero_and_no_number_breaks) {
  PageEnd<float> z(5 * kLanes);
  const float values[] = {-3e38f, 100.0f, 13.5f, -1000.0f, 99.0f};
  for (size_t i = 0; i < z.size(); ++i) z[i] = values[i / kLanes];
  SoftmaxLanes stats = empty_stats();
  float rescale[kLanes];
  table().softmax_tile(z.data(), 5, 0, &stats, rescale, nullptr);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(z[lane], 0.0f);
    EXPECT_EQ(z[kLanes + lane], 1.0f);
    EXPECT_NEAR(z[2 * kLanes + lane], std::exp(-86.5), std::exp(-86.5) * 4 * kUnit);
    EXPECT_EQ(z[3 * kLanes + lane], 0.0f);
    EXPECT_NEAR(stats.sum[lane], 1 + std::exp(-1.0), 4 * kUnit);
    EXPECT_NEAR(stats.weighted[lane], -std::exp(-1.0), 4 * kUnit);
  }
}

TEST_P(Softmax, exponentials_are_within_2_ulp) {
  constexpr size_t kCount = 20000;
  PageEnd<float> z((kCount + 1) * kLanes);
  for (size_t i = 0; i < z.size(); ++i) z[i] = -static_cast<float>(i) * (86.9f / static_cast<float>(z.size()));
  const PageEnd<float> before = z;
  SoftmaxLanes stats = empty_stats();
  for (float& m : stats.max) m = 0;
  float rescale[kLanes];
  table().softmax_tile(z.data(), kCount + 1, 0, &stats, rescale, nullptr);
  for (size_t i = 0; i < z.size(); ++i) ASSERT_LE(ulps(z[i], std::exp(static_cast<double>(before[i]))), 2) << before[i];
}

TEST_P(Softmax, not_a_number_stays_in_its_lane) {
  PageEnd<float> z(11 * kLanes);
  Values(4).fill(z);
  z[5 * kLanes + 7] = std::numeric_limits<float>::quiet_NaN();
  SoftmaxLanes stats = empty_stats();
  float rescale[kLanes];
  table().softmax_tile(z.data(), 11, 0, &stats, rescale, nullptr);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(std::isnan(stats.sum[lane]), lane == 7);
    EXPECT_FALSE(std::isnan(stats.max[lane]));
  }
}

// Tile after tile: lane 5 sees nothing at first, lane 6 a NaN, lane 9 never anything; others see two keys of three.
TEST_P(Softmax, pairs_are_those_of_the_tile_in_place_and_beside_it) {
  SoftmaxLanes want = empty_stats(), got = empty_stats();
  got.best[2] = 7, got.weighted[2] = 3.5;
  for (const size_t count : {1, 2, 7, 8, 9, 40, 131}) {
    PageEnd<float> z(count * kLanes), pairs((count + 1) / 2 * kLanes), rounded(pairs.size());
    Values(static_cast<uint32_t>(count)).fill(z, 5);
    for (size_t i = 0; i < z.size(); ++i) {
      const size_t lane = i % kLanes;
      if ((i / kLanes + i) % 3 == 0 || (lane == 5 && count < 8) || lane == 9) z[i] = -kInf;
      if (lane == 6 && count == 40 && i / kLanes == 11) z[i] = std::numeric_limits<float>::quiet_NaN();
      if (lane == 4 && i / kLanes == 1) z[i] = -200;
    }
    PageEnd<float> scores = z, in_place = z;
    float rescale[2][kLanes];
    SoftmaxLanes again = got;
    table().softmax_tile(z.data(), count, 0, &want, rescale[0], nullptr);
    table().round_pairs(z.data(), count, rounded.data());
    table().softmax_pairs(scores.data(), count, &got, rescale[1], pairs.data());
    ASSERT_TRUE(same_bits(pairs, rounded)) << count;
    ASSERT_EQ(std::memcmp(rescale[0], rescale[1], sizeof rescale[0]), 0) << count;
    ASSERT_EQ(std::memcmp(got.max, want.max, sizeof got.max), 0) << count;
    ASSERT_EQ(std::memcmp(got.sum, want.sum, sizeof got.sum), 0) << count;
    ASSERT_EQ(got.best[2], 7);
    ASSERT_EQ(got.weighted[2], 3.5);
    table().softmax_pairs(in_place.data(), count, &again, rescale[1], in_place.data());
    ASSERT_EQ(std::memcmp(in_place.data(), rounded.data(), rounded.size() * sizeof(float)), 0) << count;
  }
}

}  // namespace
}  // namespace dgemma::kernels::testing
