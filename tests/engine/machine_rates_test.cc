#include "engine/machine_rates.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dgemma::engine {
namespace {

constexpr double kBudget = 0.01;  // seconds: whether a rate is exact is not tested

TEST(MachineRates, are_measured_with_any_table_and_number_of_threads) {
  for (const kernels::KernelTable* table : kernels::available())
    for (const int threads : {1, 3}) {
      ops::Exec exec(*table, threads);
      for (const auto& peak :
           {measure_f32_peak(exec, kBudget), measure_bf16_peak(exec, kBudget), measure_int8_peak(exec, kBudget)}) {
        ASSERT_TRUE(peak) << table->name << ": " << peak.error().message;
        EXPECT_TRUE(*peak > 0 && std::isfinite(*peak));
      }
    }
  ops::Exec exec(*kernels::available().back(), 2);
  const auto rate = measure_read_rate(exec, kBudget, uint64_t{8} << 20);
  ASSERT_TRUE(rate) << rate.error().message;
  EXPECT_TRUE(*rate > 0 && std::isfinite(*rate));
}

TEST(MachineRates, a_sum_that_is_wrong_gives_no_rate) {
  kernels::KernelTable wrong = *kernels::available().front();
  wrong.peak_f32 = wrong.peak_bf16 = wrong.peak_int8 = [](size_t) { return 0.0; };
  ops::Exec exec(wrong, 1);
  for (const auto& peak :
       {measure_f32_peak(exec, kBudget), measure_bf16_peak(exec, kBudget), measure_int8_peak(exec, kBudget)}) {
    ASSERT_FALSE(peak);
    EXPECT_EQ(peak.error().code, ErrorCode::kInternal);
  }
}

TEST(MachineRates, a_buffer_that_does_not_fit_is_refused_with_its_size) {
  ops::Exec exec(*kernels::available().back(), 1);
  const auto rate = measure_read_rate(exec, kBudget, uint64_t{1} << 46);
  ASSERT_FALSE(rate);
  EXPECT_EQ(rate.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(rate.error().message.find("64.0 TiB"), std::string::npos) << rate.error().message;
}

}  // namespace
}  // namespace dgemma::engine
