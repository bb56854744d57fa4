// Stopwatch: how long something took. Monotonic. Test: tests/base/stopwatch_test.cc.
#pragma once

#include <chrono>

namespace dgemma::base {

class Stopwatch {
 public:
  /// Seconds since it was made.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace dgemma::base
