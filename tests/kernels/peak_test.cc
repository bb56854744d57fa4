// The functions that measure a table's peaks check their own sums: every table's are right, for any number of rounds.
#include "kernels/kernel_testing.h"

namespace dgemma::kernels::testing {
namespace {

using Peak = EachTable;
DG_FOR_EACH_TABLE(Peak);

TEST_P(Peak, counts_the_operations_of_its_rounds) {
  for (double (*const peak)(size_t) : {table().peak_f32, table().peak_bf16, table().peak_int8}) {
    const double one = peak(1);
    EXPECT_GE(one, 2);
    for (const size_t rounds : {3, 500}) EXPECT_EQ(peak(rounds), static_cast<double>(rounds) * one);
  }
}

}  // namespace
}  // namespace dgemma::kernels::testing
