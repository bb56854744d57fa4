// CpuSpread: keeps the threads of a team on processors of their own.
//
// A thread that slept is often woken on the processor of the one that woke it, and there the two take turns until the
// system's balancing notices, some milliseconds later: longer than a short answer takes. So each member says where it
// runs, and one that finds an earlier member there moves to a processor that no member is on. It is not bound to it:
// the system may move it on whenever it likes. Linux. Test: tests/base/cpu_spread_test.cc; measured in docs/PERF.md.
#pragma once

#include <atomic>
#include <vector>

namespace dgemma::base {

class CpuSpread {
 public:
  /// Does nothing where there are more members than processors that this thread may use.
  explicit CpuSpread(int members);
  /// Called by a member whenever work begins; cheap where nothing is to be done. Members 0 .. members - 1.
  void keep_apart(int member);

 private:
  void move(int member);

  const bool possible_;
  std::vector<std::atomic<int>> cpu_of_;  // by member, where it ran last; -1 before that
};

}  // namespace dgemma::base
