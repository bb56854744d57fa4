#include "base/cpu_spread.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace dgemma::base {
namespace {

cpu_set_t cpus_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

/// Two processors that this thread may use, and that the system keeps it on when asked to.
bool has_two_cpus() {
  const cpu_set_t usable = cpus_of_this_thread();
  bool kept = CPU_COUNT(&usable) >= 2;
  for (int cpu = 0; cpu < CPU_SETSIZE && kept; ++cpu) {
    if (!CPU_ISSET(cpu, &usable)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    kept = sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() == cpu;
  }
  EXPECT_EQ(sched_setaffinity(0, sizeof usable, &usable), 0);
  return kept;
}

/// All members of `spread` begin work in turn on a thread that may use two processors and is on the first: whether it
/// is there still.
bool stays_on_the_first_of_two(CpuSpread& spread, int members) {
  const cpu_set_t usable = cpus_of_this_thread();
  cpu_set_t first, both;
  CPU_ZERO(&first);
  CPU_ZERO(&both);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&both) < 2; ++cpu) {
    if (!CPU_ISSET(cpu, &usable)) continue;
    if (CPU_COUNT(&both) == 0) CPU_SET(cpu, &first);
    CPU_SET(cpu, &both);
  }
  bool stays = false;
  std::thread([&] {
    EXPECT_EQ(sched_setaffinity(0, sizeof first, &first), 0);
    const int here = sched_getcpu();
    EXPECT_EQ(sched_setaffinity(0, sizeof both, &both), 0);
    for (int member = 0; member < members; ++member) spread.keep_apart(member);
    stays = sched_getcpu() == here;
    const cpu_set_t after = cpus_of_this_thread();
    EXPECT_TRUE(CPU_EQUAL(&after, &both)) << "it must not stay bound";
  }).join();
  return stays;
}

/// The system may move a thread too, now and then: what happens most often counts.
int stays_of_nine(int members) {
  int stays = 0;
  for (int i = 0; i < 9; ++i) {
    CpuSpread spread(members);
    stays += stays_on_the_first_of_two(spread, members);
  }
  return stays;
}

TEST(CpuSpread, a_later_member_leaves_an_earlier_ones_processor) {
  if (!has_two_cpus()) GTEST_SKIP() << "one processor, or none of its own";
  EXPECT_LT(stays_of_nine(2), 5);
}

TEST(CpuSpread, more_members_than_processors_stay_where_they_are) {
  if (!has_two_cpus()) GTEST_SKIP() << "one processor, or none of its own";
  const cpu_set_t usable = cpus_of_this_thread();
  EXPECT_GT(stays_of_nine(CPU_COUNT(&usable) + 1), 4);
}

}  // namespace
}  // namespace dgemma::base
