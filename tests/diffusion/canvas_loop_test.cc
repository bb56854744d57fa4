// The loop against a scripted denoiser: no weights, every decision known beforehand.
#include "diffusion/canvas_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diffusion/sampler.h"

namespace dgemma::diffusion {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

/// Answers each step with the next row of a script; entropies come with it.
class Scripted : public Denoiser {
 public:
  struct Step {
    std::vector<int32_t> best;
    float entropy = 0;
  };
  explicit Scripted(std::vector<Step> steps) : steps_(std::move(steps)) {}

  Result<void> predict(const StepInput& input, std::span<RowDecision> out) override {
    inputs.emplace_back(input.canvas.begin(), input.canvas.end());
    firsts.push_back(input.first);
    softs.push_back(input.soft);
    if (!input.append.empty())
      commits.emplace_back(input.append.begin(), input.append.end()), commit_at = static_cast<int>(inputs.size());
    temperatures.push_back(input.temperature);
    if (fail_at == static_cast<int>(inputs.size())) return Unexpected(ErrorCode::kInternal, "scripted failure");
    const Step& s = steps_.at(std::min(at_++, steps_.size() - 1));
    for (size_t row = 0; row < out.size(); ++row) out[row] = {s.best.at(row), s.best.at(row), s.entropy, -s.entropy};
    return {};
  }

  std::vector<std::vector<int32_t>> inputs, commits;
  std::vector<bool> firsts;
  std::vector<Soft> softs;
  std::vector<double> temperatures;
  int fail_at = 0, commit_at = 0;

 private:
  std::vector<Step> steps_;
  size_t at_ = 0;
};

LoopOptions options(int max_new_tokens) {
  LoopOptions o;
  o.canvas_length = 4, o.vocab_size = 100, o.max_new_tokens = max_new_tokens, o.max_canvases = 100, o.seed = 5;
  o.eos_ids = {1};
  o.sampler.max_denoising_steps = 6;
  return o;
}

TEST(CanvasLoop, stops_when_the_best_tokens_stay_and_the_entropy_is_low) {
  Scripted fake({{{9, 8, 7, 6}, 1.0f}, {{9, 8, 7, 5}, 0.001f}, {{9, 8, 7, 5}, 0.001f}});
  const auto r = run_canvases(options(4), fake, {});
  ASSERT_TRUE(r);
  EXPECT_THAT(r->tokens, ElementsAre(9, 8, 7, 5));
  EXPECT_THAT(r->steps_per_canvas, ElementsAre(3));
  EXPECT_EQ(r->reason, FinishReason::kLength);
  EXPECT_TRUE(fake.commits.empty()) << "the last canvas is not encoded";
}

TEST(CanvasLoop, starts_from_noise_and_feeds_back_samples_where_accepted) {
  Scripted fake({{{9, 8, 7, 6}, 0.001f}});
  ASSERT_TRUE(run_canvases(options(4), fake, {}));
  EXPECT_THAT(fake.inputs[0], ElementsAreArray(initial_canvas(5, 0, 4, 100)));
  EXPECT_THAT(fake.inputs[1], ElementsAre(9, 8, 7, 6));
  EXPECT_EQ(fake.firsts, (std::vector<bool>{true, false}));
}

TEST(CanvasLoop, shows_each_canvas_before_its_first_step) {
  Scripted fake({{{9, 8, 7, 6}, 0}});
  std::vector<std::vector<int32_t>> noise;
  std::vector<size_t> steps_before;
  ASSERT_TRUE(run_canvases(options(8), fake, {.on_start = [&](const CanvasStarted& c) {
                             EXPECT_EQ(c.canvas, static_cast<int>(noise.size()));
                             EXPECT_EQ(c.max_steps, 6);
                             noise.emplace_back(c.input.begin(), c.input.end());
                             steps_before.push_back(fake.inputs.size());
                           }}));
  EXPECT_THAT(noise, ElementsAre(fake.inputs[0], fake.inputs[2]));
  EXPECT_THAT(steps_before, ElementsAre(0, 2));
}

TEST(CanvasLoop, gives_up_at_the_cap_and_then_asks_for_no_soft_embedding) {
  auto o = options(4);
  o.sampler.max_denoising_steps = 3;
  Scripted fake({{{2, 2, 2, 2}, 2.0f}});
  bool converged = true;
  const auto r = run_canvases(o, fake, {.on_canvas = [&](const FinishedCanvas& c) { converged = c.converged; }});
  EXPECT_THAT(r->steps_per_canvas, ElementsAre(3));
  EXPECT_FALSE(converged);
  EXPECT_THAT(fake.softs, ElementsAre(Soft::kCompute, Soft::kCompute, Soft::kDiscard));
}

TEST(CanvasLoop, puts_the_soft_embedding_off_when_the_canvas_is_about_to_converge) {
  Scripted fake({{{9, 8, 7, 6}, 1.0f}, {{9, 8, 7, 5}, 0.001f}, {{9, 8, 7, 4}, 0.001f}, {{9, 8, 7, 4}, 0.001f}});
  ASSERT_TRUE(run_canvases(options(4), fake, {}));
  EXPECT_THAT(fake.softs, ElementsAre(Soft::kCompute, Soft::kCompute, Soft::kDefer, Soft::kDefer));
}

TEST(CanvasLoop, goes_on_with_the_committed_canvas_until_an_end_token) {
  Scripted fake({{{9, 8, 7, 6}, 0}, {{9, 8, 7, 6}, 0}, {{5, 1, 4, 1}, 0}, {{5, 1, 4, 1}, 0}});
  std::vector<std::vector<int32_t>> seen;
  const auto r = run_canvases(options(100), fake, {.on_canvas = [&](const FinishedCanvas& c) {
                                seen.emplace_back(c.tokens.begin(), c.tokens.end());
                              }});
  EXPECT_EQ(r->reason, FinishReason::kStop);
  EXPECT_THAT(r->tokens, ElementsAre(9, 8, 7, 6, 5));
  EXPECT_THAT(fake.commits, ElementsAre(std::vector<int32_t>{9, 8, 7, 6}));
  EXPECT_EQ(fake.commit_at, 3) << "with the next canvas's first step";
  EXPECT_THAT(seen, ElementsAre(std::vector<int32_t>{9, 8, 7, 6}, std::vector<int32_t>{5}));
}

TEST(CanvasLoop, cuts_inside_a_canvas_at_max_new_tokens) {
  Scripted fake({{{9, 8, 7, 6}, 0}});
  EXPECT_THAT(run_canvases(options(6), fake, {})->tokens, ElementsAre(9, 8, 7, 6, 9, 8));
  Scripted ends({{{9, 8, 1, 6}, 0}});
  const auto r = run_canvases(options(2), ends, {});
  EXPECT_THAT(r->tokens, ElementsAre(9, 8));
  EXPECT_EQ(r->reason, FinishReason::kLength) << "the end token lies behind the cut";
}

TEST(CanvasLoop, an_end_token_first_is_an_empty_answer) {
  Scripted fake({{{1, 8, 7, 6}, 0}});
  const auto r = run_canvases(options(8), fake, {});
  EXPECT_TRUE(r->tokens.empty());
  EXPECT_EQ(r->reason, FinishReason::kStop);
}

TEST(CanvasLoop, takes_a_given_first_canvas_and_noise_for_the_second) {
  auto o = options(8);
  o.first_canvas = {4, 3, 2, 5};
  Scripted fake({{{9, 8, 7, 6}, 0}});
  ASSERT_TRUE(run_canvases(o, fake, {}));
  EXPECT_THAT(fake.inputs[0], ElementsAre(4, 3, 2, 5));
  EXPECT_THAT(fake.inputs[2], ElementsAreArray(initial_canvas(5, 1, 4, 100)));
}

TEST(CanvasLoop, stops_for_a_full_context_without_committing) {
  auto o = options(100);
  o.max_canvases = 2;
  Scripted fake({{{9, 8, 7, 6}, 0}});
  const auto r = run_canvases(o, fake, {});
  EXPECT_EQ(r->tokens.size(), 8u);
  EXPECT_EQ(r->reason, FinishReason::kLength);
  EXPECT_EQ(fake.commits.size(), 1u);
}

TEST(CanvasLoop, cancel_keeps_what_was_committed) {
  auto o = options(100);
  std::atomic<bool> cancel{false};
  o.cancel = &cancel;
  Scripted fake({{{9, 8, 7, 6}, 0}});
  int steps = 0;
  const auto r = run_canvases(o, fake, {.on_step = [&](const CanvasDraft&) { cancel = ++steps == 3; }});
  EXPECT_EQ(r->reason, FinishReason::kCancelled);
  EXPECT_THAT(r->tokens, ElementsAre(9, 8, 7, 6));
  EXPECT_THAT(r->steps_per_canvas, ElementsAre(2, 1));
}

TEST(CanvasLoop, hands_on_the_denoisers_error) {
  Scripted fake({{{9, 8, 7, 6}, 1.0f}});
  fake.fail_at = 2;
  const auto r = run_canvases(options(4), fake, {});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message, "scripted failure");
}

TEST(CanvasLoop, reports_every_step_with_its_rows) {
  Scripted fake({{{9, 8, 7, 6}, 0.06f}, {{9, 8, 7, 6}, 0.001f}});
  std::vector<int> accepted;
  std::vector<bool> last;
  ASSERT_TRUE(run_canvases(options(4), fake, {.on_step = [&](const CanvasDraft& d) {
                             int n = 0;
                             for (const uint8_t a : d.accepted) n += a;
                             accepted.push_back(n);
                             last.push_back(d.last);
                             EXPECT_EQ(d.best.size(), 4u);
                             EXPECT_NEAR(d.mean_entropy, d.entropy[0], 1e-7);
                           }}));
  EXPECT_THAT(accepted, ElementsAre(2, 4));  // bound 0.1: 0, .06, then .12 is too much
  EXPECT_EQ(last, (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace dgemma::diffusion
