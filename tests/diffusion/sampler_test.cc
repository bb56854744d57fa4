#include "diffusion/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace dgemma::diffusion {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<int> accepted(std::vector<float> entropy, double bound) {
  std::vector<uint8_t> out(entropy.size());
  std::vector<uint32_t> order(entropy.size());
  accept_rows(entropy, bound, order, out);
  return {out.begin(), out.end()};
}

TEST(Acceptance, takes_rows_in_ascending_entropy_while_those_before_stay_within_the_bound) {
  EXPECT_THAT(accepted({0.5f, 0.04f, 0.3f, 0.05f}, 0.1), ElementsAre(0, 1, 1, 1));  // 0, .04, .09, .39
}
TEST(Acceptance, compares_in_float32_as_the_reference) {
  EXPECT_THAT(accepted({0.1f, 5}, 0.1), ElementsAre(1, 1));  // 0.1f is above 0.1
}
TEST(Acceptance, always_takes_one_row) { EXPECT_THAT(accepted({9, 8, 9}, 0), ElementsAre(0, 1, 0)); }
TEST(Acceptance, takes_equal_entropies_in_row_order) {
  EXPECT_THAT(accepted({0.25f, 0.25f, 0.25f, 0.25f}, 0.25), ElementsAre(1, 1, 0, 0));
}
TEST(Acceptance, takes_all_rows_that_are_certain) { EXPECT_THAT(accepted({0, 0, 0}, 0), Each(1)); }

TEST(Temperature, falls_linearly_and_ends_one_step_above_t_min) {
  const SamplerValues s{.max_denoising_steps = 4, .t_min = 0.4, .t_max = 0.8};
  EXPECT_DOUBLE_EQ(step_temperature(s, 0), 0.8);
  EXPECT_DOUBLE_EQ(step_temperature(s, 2), 0.6);
  EXPECT_DOUBLE_EQ(step_temperature(s, 3), 0.5);
}

TEST(Noise, covers_the_vocabulary_and_depends_on_seed_canvas_and_row_only) {
  const auto a = initial_canvas(7, 0, 1000, 10);
  EXPECT_EQ(a, initial_canvas(7, 0, 1000, 10));
  EXPECT_NE(a, initial_canvas(7, 1, 1000, 10));
  EXPECT_NE(a, initial_canvas(8, 0, 1000, 10));
  std::vector<int> count(10);
  for (const int32_t t : a) ++count.at(static_cast<size_t>(t));
  for (const int c : count) EXPECT_NEAR(c, 100, 40);
}

TEST(Noise, renoises_only_what_was_not_accepted_and_differently_at_each_step) {
  const std::vector<int32_t> sample(64, -7);
  std::vector<uint8_t> taken(64, 0);
  taken[3] = 1;
  std::vector<int32_t> a(64), b(64);
  renoise({1, 0, 0}, 5000, sample, taken, a);
  renoise({1, 0, 1}, 5000, sample, taken, b);
  EXPECT_EQ(a[3], -7);
  EXPECT_EQ(b[3], -7);
  int same = 0;
  for (size_t i = 0; i < a.size(); ++i) same += i != 3 && a[i] == b[i];
  EXPECT_LT(same, 3);
}

TEST(Stopping, waits_for_as_many_equal_steps_as_asked_and_for_confidence) {
  const std::vector<int32_t> a = {1, 2}, b = {1, 3};
  StoppingRule rule(2, 0.1);
  EXPECT_FALSE(rule.update(a, 0.01));
  EXPECT_FALSE(rule.update(a, 0.01));
  EXPECT_FALSE(rule.update(b, 0.01));
  EXPECT_FALSE(rule.update(b, 0.01));
  EXPECT_FALSE(rule.update(b, 0.1)) << "the mean entropy must be below the threshold, not at it";
  EXPECT_TRUE(rule.update(b, 0.09));
}

TEST(Stopping, is_near_once_the_entropy_is_low_and_the_next_step_can_make_the_repeats_full) {
  const std::vector<int32_t> a = {1, 2}, b = {1, 3};
  StoppingRule rule(2, 0.1);
  EXPECT_FALSE(rule.is_near());
  EXPECT_FALSE(rule.update(a, 0.01));
  EXPECT_FALSE(rule.is_near()) << "two equal steps are still to come";
  EXPECT_FALSE(rule.update(a, 0.5));
  EXPECT_FALSE(rule.is_near()) << "far from sure";
  EXPECT_FALSE(rule.update(a, 0.15));
  EXPECT_TRUE(rule.is_near());
  EXPECT_FALSE(rule.update(b, 0.01));
  EXPECT_FALSE(rule.is_near());
}

TEST(Stopping, a_threshold_of_zero_is_always_stable) {
  StoppingRule rule(0, 0.1);
  EXPECT_TRUE(rule.update(std::vector<int32_t>{1}, 0.05));
}

}  // namespace
}  // namespace dgemma::diffusion
