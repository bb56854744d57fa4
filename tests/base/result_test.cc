#include "dgemma/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <set>
#include <system_error>

#include "base/limit_errors.h"

namespace dgemma {
namespace {

Result<int> half(int x) {
  if (x % 2 != 0) return Unexpected(ErrorCode::kUsage, "odd");
  return x / 2;
}
Result<int> quarter(int x) {
  DG_TRY_ASSIGN(const int once, half(x));
  DG_TRY_ASSIGN(const int twice, half(once));
  return twice;
}
Result<void> only_even(int x) {
  DG_TRY(half(x));
  return {};
}

TEST(Result, carries_a_value_or_an_error) {
  EXPECT_EQ(*quarter(8), 2);
  ASSERT_FALSE(quarter(6));
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_EQ(quarter(7).value_or(-1), -1);
  EXPECT_TRUE(only_even(2));
  EXPECT_EQ(only_even(1).error().code, ErrorCode::kUsage);
}

TEST(Result, moves_values_that_cannot_be_copied) {
  Result<std::unique_ptr<int>> r = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(r).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, reading_the_error_of_a_success_stops_too) {
  EXPECT_DEATH((void)half(2).error(), "error of a Result");
}
TEST(ResultDeathTest, reading_a_failed_result_stops_with_the_message) { EXPECT_DEATH((void)half(1).value(), "odd"); }

TEST(ErrorTable, gives_each_code_a_name_of_its_own_and_the_documented_exit_status) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code)
    EXPECT_TRUE(names.insert(error_name(static_cast<ErrorCode>(code))).second) << code;
  EXPECT_EQ(exit_status(ErrorCode::kUsage), 2);
  EXPECT_EQ(exit_status(ErrorCode::kModelFile), 3);
  EXPECT_EQ(exit_status(ErrorCode::kOutOfMemory), 4);
  EXPECT_EQ(exit_status(ErrorCode::kCancelled), 130);
  EXPECT_EQ(http_status(ErrorCode::kBusy), 429);
}

TEST(LimitErrors, say_what_the_system_has_no_more_of) {
  const auto outcome = [](auto fails) {
    return base::with_limit_errors("a test", [&]() -> Result<int> {
      fails();
      return 7;
    });
  };
  EXPECT_EQ(*outcome([] {}), 7);
  const auto memory = outcome([] { throw std::bad_alloc(); });
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(memory.error().message,
            "memory: expected what a test needs, got less. Close other programs, or raise ulimit -v");
  const auto thread = outcome([] { throw std::system_error(std::make_error_code(std::errc::not_enough_memory)); });
  ASSERT_FALSE(thread);
  EXPECT_EQ(thread.error().code, ErrorCode::kBusy);
  EXPECT_NE(thread.error().message.find("expected a thread for a test, got: "), std::string::npos);
}

}  // namespace
}  // namespace dgemma
