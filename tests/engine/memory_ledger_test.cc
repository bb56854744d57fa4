#include "engine/memory_ledger.h"

#include <gtest/gtest.h>

#include <memory>

namespace dgemma::engine {
namespace {

TEST(MemoryLedger, two_sessions_do_not_count_on_the_same_bytes) {
  MemoryLedger ledger;
  MemoryLedger::Promise first(ledger), second(ledger);
  EXPECT_EQ(first.ask(60, 100), 100u);
  EXPECT_EQ(second.ask(50, 100), 40u) << "too little, so nothing was promised";
  EXPECT_EQ(first.ask(70, 100), 100u) << "a session may ask again for itself";
  EXPECT_EQ(second.ask(30, 100), 30u);
  EXPECT_EQ(first.ask(71, 100), 70u);
}

TEST(MemoryLedger, what_was_taken_or_given_back_counts_no_longer) {
  MemoryLedger ledger;
  auto first = std::make_unique<MemoryLedger::Promise>(ledger);
  MemoryLedger::Promise second(ledger);
  first->ask(60, 100);
  first->keep(20);  // 40 of them have been taken, and are no longer available either
  EXPECT_EQ(second.ask(40, 60), 40u);
  first.reset();
  EXPECT_EQ(second.ask(60, 60), 60u);
  EXPECT_EQ(second.ask(10, 5), 5u) << "others may take memory that was promised: no wrap around";
}

}  // namespace
}  // namespace dgemma::engine
