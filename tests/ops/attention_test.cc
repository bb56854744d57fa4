#include "ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/random.h"

namespace dgemma::ops {
namespace {

/// Softmax attention of one row and head, directly: `see(run, key)` tells what is seen.
template <class See>
std::vector<double> direct(const float* q, const BlockKeys& runs, std::span<const size_t> counts, size_t offset,
                           size_t dim, See see) {
  std::vector<double> out(dim, 0.0);
  double sum = 0;
  for (size_t run = 0; run < runs.size(); ++run)
    for (size_t i = 0; i < counts[run]; ++i) {
      if (!see(run, i)) continue;
      const float* key = static_cast<const float*>(runs[run].keys) + i * runs[run].row_stride + offset;
      double score = 0;
      for (size_t d = 0; d < dim; ++d) score += double{q[d]} * key[d];
      const double p = std::exp(score);
      sum += p;
      for (size_t d = 0; d < dim; ++d)
        out[d] += p * static_cast<const float*>(runs[run].values)[i * runs[run].row_stride + offset + d];
    }
  for (double& v : out) v /= sum > 0 ? sum : 1;
  return out;
}

struct Case {
  size_t heads, kv_heads, dim, rows, cached, canvas;
};

class Attention : public testing::TestWithParam<Case> {};

TEST_P(Attention, equals_a_direct_softmax_over_what_each_row_sees) {
  const Case c = GetParam();
  const size_t stride = c.kv_heads * c.dim, width = c.heads * c.dim;
  const auto q = random_values(c.rows * width, 1, 0.5f);
  const auto cached_k = random_values(c.cached * stride, 2, 0.5f), cached_v = random_values(c.cached * stride, 3);
  const auto canvas_k = random_values(c.canvas * stride, 4, 0.5f), canvas_v = random_values(c.canvas * stride, 5);
  const auto in = to_blocks(q, c.rows, width);
  const tensor::BlockMatrix out(c.rows, width);
  std::vector<BlockKeys> keys(tensor::blocks_for(c.rows));
  const auto window = [&](size_t row) { return std::pair{row % 7, c.cached - row % 3}; };  // ragged on purpose
  for (size_t b = 0; b < keys.size(); ++b) {
    keys[b][0].keys = cached_k.data(), keys[b][0].values = cached_v.data(), keys[b][0].row_stride = stride;
    keys[b][1].keys = canvas_k.data(), keys[b][1].values = canvas_v.data(), keys[b][1].row_stride = stride;
    for (size_t lane = 0; lane < 16; ++lane) {
      const auto [low, high] = window(b * 16 + lane);
      keys[b][0].low[lane] = static_cast<int32_t>(low), keys[b][0].high[lane] = static_cast<int32_t>(high);
      keys[b][1].high[lane] = static_cast<int32_t>(c.canvas);
    }
  }
  Exec exec(best_table(), 2);
  attention(exec, {c.heads, c.kv_heads, c.dim}, in.view(), keys, out.view());
  const size_t counts[] = {c.cached, c.canvas};
  for (size_t r = 0; r < c.rows; ++r)
    for (size_t h = 0; h < c.heads; ++h) {
      const auto [low, high] = window(r);
      const size_t from = low, to = high;
      const auto expected = direct(&q[r * width + h * c.dim], keys[r / 16], counts, h / (c.heads / c.kv_heads) * c.dim,
                                   c.dim, [&](size_t run, size_t i) { return run == 1 || (i >= from && i < to); });
      for (size_t d = 0; d < c.dim; ++d)
        ASSERT_NEAR(out.view().at(r, h * c.dim + d), expected[d], 2e-5) << r << " " << h;
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Case{4, 2, 16, 20, 150, 20}, Case{2, 2, 8, 1, 3, 1},
                                         Case{8, 1, 12, 33, 64, 33}, Case{6, 3, 5, 16, 200, 16},
                                         Case{1, 1, 64, 17, 65, 130}, Case{4, 2, 16, 40, 600, 300}));

struct RandomRun {
  std::vector<float> keys, values;  // numbers that bf16 holds
  std::vector<uint16_t> half_keys, half_values;

  RandomRun(size_t count, size_t stride)
      : keys(random_values(count * stride, 2, 0.5f)), values(random_values(count * stride, 3)) {
    for (float& v : keys) v = tensor::bf16_to_float(half_keys.emplace_back(tensor::float_to_bf16(v)));
    for (float& v : values) v = tensor::bf16_to_float(half_values.emplace_back(tensor::float_to_bf16(v)));
  }
  KeyRun wide(size_t stride) const { return {tensor::DType::kF32, keys.data(), values.data(), stride, {}, {}}; }
  KeyRun half(size_t stride) const {
    return {tensor::DType::kBF16, half_keys.data(), half_values.data(), stride, {}, {}};
  }
};

// Probabilities are rounded by up to 2^-9 of themselves, and the values they weigh are about 1.
TEST(AttentionOverBF16, is_near_attention_over_the_same_numbers_in_f32) {
  const size_t heads = 4, kv_heads = 2, dim = 12, stride = kv_heads * dim, width = heads * dim;
  for (const size_t count : {1, 63, 130}) {
    const RandomRun run(count, stride);
    auto q = random_values(16 * width, 1, 0.5f);
    for (float& v : q) v = tensor::bf16_to_float(tensor::float_to_bf16(v));
    const auto in = to_blocks(q, 16, width);
    std::vector<BlockKeys> wide(1), half(1);
    wide[0][0] = run.wide(stride), half[0][0] = run.half(stride);
    wide[0][0].high.fill(static_cast<int32_t>(count)), half[0][0].high = wide[0][0].high;
    wide[0][1] = wide[0][0], half[0][1] = half[0][0];
    for (const kernels::KernelTable* table : kernels::available()) {
      const tensor::BlockMatrix want(16, width), got(16, width);
      Exec exec(*table, 2);
      attention(exec, {heads, kv_heads, dim}, in.view(), wide, want.view());
      attention(exec, {heads, kv_heads, dim}, in.view(), half, got.view());
      for (size_t r = 0; r < 16; ++r)
        for (size_t d = 0; d < width; ++d)
          ASSERT_NEAR(got.view().at(r, d), want.view().at(r, d), 1.5 / 256) << table->name << " " << count;
    }
  }
}

// An odd number of keys leaves half of the last pair empty; rows see different numbers of keys.
TEST(AttentionOverBF16, gives_a_row_the_same_bits_whatever_its_neighbours_see) {
  const size_t heads = 2, dim = 8, count = 401;  // more than a tile
  const RandomRun run(count + 1, dim);
  const auto in = to_blocks(random_values(16 * heads * dim, 1, 0.5f), 16, heads * dim);
  const tensor::BlockMatrix all(16, heads * dim), one(16, heads * dim);
  Exec exec(best_table(), 2);
  std::vector<BlockKeys> ragged(1), alike(1);
  ragged[0][0] = alike[0][0] = run.half(dim);
  for (size_t lane = 0; lane < 16; ++lane) ragged[0][0].high[lane] = static_cast<int32_t>(count - 20 * lane);
  attention(exec, {heads, 1, dim}, in.view(), ragged, all.view());
  for (size_t lane = 0; lane < 16; ++lane) {
    alike[0][0].high.fill(ragged[0][0].high[lane]);
    attention(exec, {heads, 1, dim}, in.view(), alike, one.view());
    for (size_t d = 0; d < heads * dim; ++d) ASSERT_EQ(all.view().at(lane, d), one.view().at(lane, d)) << lane;
  }
}

// As in a prompt: each row sees a window of its own. Blocks that walk over the keys together leave out other keys than
// a block alone does, and read others in one product.
TEST(AttentionOverBF16, gives_a_block_the_same_bits_alone_and_among_others) {
  const size_t blocks = 6, rows = blocks * 16, heads = 4, kv_heads = 2, dim = 34, width = heads * dim;
  const size_t stride = kv_heads * dim, count = 700;
  const RandomRun run(count, stride);
  const auto q = random_values(rows * width, 1, 0.5f);
  const auto in = to_blocks(q, rows, width);
  std::vector<BlockKeys> keys(blocks), wide(blocks);
  for (size_t row = 0; row < rows; ++row) {
    keys[row / 16][0].low[row % 16] = static_cast<int32_t>(row < 20 ? 0 : 3 * row);
    keys[row / 16][0].high[row % 16] = static_cast<int32_t>(row < 90 ? 150 + 6 * row : count);
    keys[row / 16][1].high[row % 16] = static_cast<int32_t>(row % 5 == 0 ? 0 : 70);
  }
  for (size_t b = 0; b < blocks; ++b)
    for (size_t r = 0; r < 2; ++r) {
      wide[b][r] = run.wide(stride), wide[b][r].low = keys[b][r].low, wide[b][r].high = keys[b][r].high;
      KeyRun half = run.half(stride);
      half.low = keys[b][r].low, half.high = keys[b][r].high;
      keys[b][r] = half;
    }
  for (const kernels::KernelTable* table : kernels::available()) {
    const tensor::BlockMatrix all(rows, width), one(rows, width), exact(rows, width);
    Exec exec(*table, 1);
    attention(exec, {heads, kv_heads, dim}, in.view(), keys, all.view());
    attention(exec, {heads, kv_heads, dim}, in.view(), wide, exact.view());
    for (size_t b = 0; b < blocks; ++b)
      attention(exec, {heads, kv_heads, dim}, in.view().block_range(b, 1), std::span(keys).subspan(b, 1),
                one.view().block_range(b, 1));
    for (size_t row = 0; row < rows; ++row)
      for (size_t d = 0; d < width; ++d) {
        ASSERT_EQ(all.view().at(row, d), one.view().at(row, d)) << table->name << " " << row;
        ASSERT_NEAR(all.view().at(row, d), exact.view().at(row, d), 0.05) << table->name << " " << row;
      }
  }
}

// Few rows of several heads share their lanes: 5 rows of 3 heads do, 6 do not.
TEST(AttentionOfFewRows, gives_the_bits_of_many_rows) {
  const size_t heads = 6, kv_heads = 2, dim = 12, stride = kv_heads * dim, width = heads * dim, count = 431;
  const RandomRun run(count, stride);
  const auto in = to_blocks(random_values(32 * width, 1, 0.5f), 32, width);
  const tensor::BlockMatrix all(32, width), few(32, width);
  Exec exec(best_table(), 2);
  for (const KeyRun& keys_of_all : {run.wide(stride), run.half(stride)}) {
    std::vector<BlockKeys> keys(2);
    for (BlockKeys& k : keys) {
      k[0] = k[1] = keys_of_all;
      for (size_t lane = 0; lane < 16; ++lane) {
        k[0].low[lane] = static_cast<int32_t>(20 * lane), k[0].high[lane] = static_cast<int32_t>(count - 8 * lane);
        k[1].high[lane] = static_cast<int32_t>(lane % 3);
      }
    }
    attention(exec, {heads, kv_heads, dim}, in.view(), keys, all.view());
    for (const size_t rows : {17, 18, 21, 22}) {
      attention(exec, {heads, kv_heads, dim}, in.view(), keys, few.view(), rows);
      for (size_t r = 0; r < rows; ++r)
        for (size_t d = 0; d < width; ++d)
          ASSERT_EQ(few.view().at(r, d), all.view().at(r, d)) << rows << " rows: " << r << " " << d;
      for (size_t r = rows; r < 32; ++r)
        for (size_t d = 0; d < width; ++d) ASSERT_TRUE(std::isfinite(few.view().at(r, d))) << rows << " rows";
    }
  }
}

TEST(AttentionOfNothing, gives_zeros) {
  const auto in = to_blocks(random_values(16 * 8, 1), 16, 8);
  const tensor::BlockMatrix out(16, 8);
  Exec exec(best_table(), 1);
  const std::vector<float> key(8, 1.0f);
  std::vector<BlockKeys> keys(1);
  keys[0][0].keys = keys[0][0].values = key.data(), keys[0][0].row_stride = 8;
  keys[0][0].high.fill(1);
  keys[0][0].high[3] = 0;  // this row sees nothing, its neighbours do
  attention(exec, {1, 1, 8}, in.view(), keys, out.view());
  EXPECT_EQ(out.view().at(3, 0), 0.0f);
  EXPECT_EQ(out.view().at(4, 0), 1.0f);
}

}  // namespace
}  // namespace dgemma::ops
