#include "engine/sampler_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dgemma::engine {
namespace {

TEST(SamplerValues, the_request_wins_over_the_checkpoint_and_that_over_the_published_values) {
  SamplerOptions request, checkpoint;
  request.t_max = 0.9;
  checkpoint.t_max = 0.7, checkpoint.entropy_bound = 0.2;
  const SamplerValues v = resolve_sampler(request, checkpoint).value();
  EXPECT_EQ(v.t_max, 0.9);
  EXPECT_EQ(v.entropy_bound, 0.2);
  EXPECT_EQ(v.max_denoising_steps, 48);
  EXPECT_EQ(v.confidence_threshold, 0.005);
}

TEST(SamplerValues, values_that_make_no_sense_are_refused_by_name) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const auto message = [](auto set) {
    SamplerOptions o;
    set(o);
    const auto r = resolve_sampler(o, {});
    return r ? std::string("accepted") : r.error().message;
  };
  using testing::StartsWith;
  for (const double bad : {nan, inf, -inf, -0.1}) {
    EXPECT_THAT(message([&](SamplerOptions& o) { o.t_min = bad; }), StartsWith("t_min"));
    EXPECT_THAT(message([&](SamplerOptions& o) { o.t_max = bad; }), StartsWith("t_max"));
    EXPECT_THAT(message([&](SamplerOptions& o) { o.entropy_bound = bad; }), StartsWith("entropy_bound"));
    EXPECT_THAT(message([&](SamplerOptions& o) { o.confidence_threshold = bad; }), StartsWith("confidence_threshold"));
  }
  EXPECT_THAT(message([](SamplerOptions& o) { o.t_max = 0; }), StartsWith("t_max"));
  const auto cold = [](double t) { return [t](SamplerOptions& o) { o.t_min = 0, o.t_max = t; }; };
  EXPECT_THAT(message(cold(9e-11)), StartsWith("t_max: expected a temperature of at least 1e-10, got"));
  EXPECT_EQ(message(cold(1e-10)), "accepted");
  EXPECT_THAT(message([](SamplerOptions& o) { o.t_min = 0.9; }), StartsWith("t_min: expected at most t_max, 0.8"));
  EXPECT_THAT(message([](SamplerOptions& o) { o.max_denoising_steps = 0; }), StartsWith("max_denoising_steps"));
  EXPECT_THAT(message([](SamplerOptions& o) { o.stability_threshold = -1; }), StartsWith("stability_threshold"));
  EXPECT_EQ(message([](SamplerOptions& o) { o.t_min = 0; }), "accepted") << "no step's temperature is 0 then";
}

}  // namespace
}  // namespace dgemma::engine
