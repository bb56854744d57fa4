#include "base/stopwatch.h"

#include <gtest/gtest.h>

#include <thread>

namespace dgemma::base {
namespace {

TEST(Stopwatch, counts_seconds_from_its_making) {
  const auto before = std::chrono::steady_clock::now();
  const Stopwatch watch;
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const double first = watch.seconds(), second = watch.seconds();
  const double all = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  EXPECT_GE(first, 0.002);
  EXPECT_LE(first, second);
  EXPECT_LE(second, all);
}

}  // namespace
}  // namespace dgemma::base
