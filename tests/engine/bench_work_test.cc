// Bytes and operations of a sweep against sizes worked out by hand for tiny-a: D 64, F 96, E 4, T 2, Fe 32, H 4, V 512,
// W 16; two sliding layers (Dh 16, K 2) and a full one (Dh 32, K 1, values from keys); bf16 weights.
#include "engine/bench_work.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "model/packing.h"
#include "model/tiny_model.h"

namespace dgemma::engine {
namespace {

class BenchWork : public testing::Test {
 protected:
  model::TinyModel tiny_ = model::TinyModel::open("tiny-a");
  /// Of rows that touch as many experts as they can.
  SweepWork work(const SweepShape& shape) const {
    return work(shape, std::vector<int>(3, std::min(4, 2 * shape.rows)));
  }
  SweepWork work(SweepShape shape, const std::vector<int>& touched) const {
    shape.touched_experts = touched;
    return sweep_work(tiny_.model, shape);
  }
};

TEST_F(BenchWork, counts_each_weight_of_a_step_once) {
  const SweepWork w = work({16, 100, true, true});
  const double projections = 2 * (2 * 64 * 64 + 2 * 32 * 64) + 2 * 128 * 64 + 32 * 64;
  const double dense = 4 * 3 * 96 * 64;  // three layers and self-conditioning
  const double expert = 3 * 32 * 64;
  EXPECT_EQ(w.bytes.projections, 2 * projections);
  EXPECT_EQ(w.operations.projections, 2 * 16 * projections);
  EXPECT_EQ(w.bytes.dense, 2 * dense);
  EXPECT_EQ(w.operations.dense, 2 * 16 * dense);
  EXPECT_EQ(w.bytes.experts, 2 * 3 * 4 * expert);
  EXPECT_EQ(w.operations.experts, 2 * 16 * 3 * 2 * expert);
  EXPECT_EQ(w.bytes.vocabulary, 2 * 512 * 64);
  EXPECT_EQ(w.operations.vocabulary, 2 * 2 * 16 * 512 * 64) << "LM head and soft embedding";
  EXPECT_EQ(w.operations.rest, 2 * 16 * 3 * 4 * 64) << "the router";
}

TEST_F(BenchWork, packed_weights_are_counted_once_though_gate_and_up_alternate) {
  const double bits = 8.5;  // codes of 8 bits, an f16 scale for 32 columns; columns in whole superblocks of 64
  const double dense = 4 * (2 * 96 * 64 + 64 * 128), expert = 2 * 32 * 64 + 64 * 64;
  auto checkpoint = formats::Checkpoint::open(golden::folder() + "tiny-a");
  model::Weights weights = model::bind_weights(*checkpoint, tiny_.model.config(), {}).value();
  ASSERT_TRUE(model::pack_weights(weights, 1, {}));
  const int touched[] = {4, 4, 4};
  const SweepWork w = sweep_work(model::Model(tiny_.model.config(), std::move(weights), tensor::DType::kBF16),
                                 {16, 100, true, true, false, touched});
  EXPECT_EQ(w.bytes.dense, dense * bits / 8);
  EXPECT_EQ(w.bytes.experts, 3 * 4 * expert * bits / 8);
}

TEST_F(BenchWork, a_canvas_sees_the_window_or_everything_and_itself) {
  const SweepWork near = work({16, 100, true, true}), far = work({16, 200, true, true});
  const double sliding = 2 * 4 * (15 + 16) * 16 * 4 * 16;
  EXPECT_EQ(near.operations.attention, sliding + 4 * (100 + 16) * 16 * 4 * 32);
  EXPECT_EQ(far.operations.attention, sliding + 4 * (200 + 16) * 16 * 4 * 32);
  const double more = far.bytes.attention - near.bytes.attention;  // keys and values of the full layer
  EXPECT_EQ(more, 100 * 2 * 32 * 4);
}

TEST(BenchWorkOfBF16Caches, reads_half_of_the_bytes) {
  const int touched[] = {4, 4, 4};
  const SweepShape shape{16, 100, true, true, false, touched};
  const auto bytes = [&](tensor::DType type) {
    return sweep_work(model::TinyModel::open("tiny-a", type).model, shape).bytes.attention;
  };
  EXPECT_EQ(bytes(tensor::DType::kF32), 2 * bytes(tensor::DType::kBF16));
}

TEST_F(BenchWork, an_encoded_row_sees_what_is_before_it_and_itself) {
  const double keys = (1 + 2 + 3) * 4 * (2 * 4 * 16 + 4 * 32);
  EXPECT_EQ(work({3, 0, false, false}).operations.attention, keys);
  EXPECT_EQ(work({3, 0, false, false}).bytes.vocabulary, 0);
  EXPECT_EQ(work({3, 0, false, false}).bytes.dense, 2 * 3 * 3 * 96 * 64) << "no self-conditioning";
}

TEST_F(BenchWork, a_prompt_needs_keys_and_values_only_of_the_last_layer) {
  const SweepWork all = work({3, 0, false, false}), caches = work({3, 0, false, false, true});
  EXPECT_EQ(all.bytes.projections - caches.bytes.projections, 2 * 2 * 128 * 64) << "q and o";
  EXPECT_EQ(caches.bytes.dense, 2 * 2 * 3 * 96 * 64);
  EXPECT_EQ(caches.bytes.experts, all.bytes.experts / 3 * 2);
}

TEST_F(BenchWork, one_row_reads_its_own_experts_only) {
  EXPECT_EQ(work({1, 100, false, true}).bytes.experts, 2 * 3 * 2 * 3 * 32 * 64);
  EXPECT_EQ(work({1, 100, false, true}).operations.vocabulary, 2 * 512 * 64);
}

TEST_F(BenchWork, experts_that_no_row_chose_are_not_read) {
  const SweepWork all = work({16, 100, true, true}), few = work({16, 100, true, true}, {2, 3, 4});
  const double expert = 3 * 32 * 64;
  EXPECT_EQ(few.bytes.experts, 2 * (2 + 3 + 4) * expert);
  EXPECT_EQ(few.operations.experts, all.operations.experts) << "each row has its two all the same";
}

TEST(SetLimits, takes_the_longer_of_reading_and_computing) {
  SweepWork w;
  w.bytes.dense = 100, w.operations.dense = 10;
  w.bytes.experts = 10, w.operations.experts = 300;
  w.operations.attention = 300, w.operations.rest = 10;
  set_limits(w, {10, 20, 5, 1});
  EXPECT_EQ(w.limit_s.dense, 10);
  EXPECT_EQ(w.limit_s.experts, 15);
  EXPECT_EQ(w.limit_s.attention, 60) << "at its own rate";
  EXPECT_EQ(w.limit_s.rest, 10) << "in f32 whatever the products are computed in";
  EXPECT_EQ(w.limit_s.total(), 95);
}

}  // namespace
}  // namespace dgemma::engine
