// product_rows_*, weighted_sum_rows_*: every table against its own products of lane blocks, which have tests of their
// own, on odd sizes, at page ends. amxbf16's are in tiles_bf16_test.cc too.
#include "kernels/rows_testing.h"

namespace dgemma::kernels::testing {
namespace {

using TokensAsRows = EachTable;
DG_FOR_EACH_TABLE(TokensAsRows);

template <class W>
void check_all(const KernelTable& t) {
  for (size_t tokens = 1; tokens <= 16; ++tokens) {
    RowsCase<W>(tokens, 19, 70).check_product(t);
    RowsCase<W>(tokens, 19, 70).check_weighted_sum(t);
  }
  for (size_t n = 1; n <= 35; ++n) {
    RowsCase<W>(3, n, 34, 2).check_product(t);
    RowsCase<W>(3, n, 34, 2).check_weighted_sum(t);
  }
  for (size_t k = 2; k <= 140; k += 2) {
    RowsCase<W>(1 + k % 3, 17, k).check_product(t);
    RowsCase<W>(1 + k % 3, 17, k).check_weighted_sum(t);
  }
  RowsCase<W>(18, 64, 512).check_product(t);
}

TEST_P(TokensAsRows, have_the_bits_of_lanes_in_f32) { check_all<float>(table()); }
TEST_P(TokensAsRows, have_the_bits_of_lanes_in_bf16) { check_all<uint16_t>(table()); }

}  // namespace
}  // namespace dgemma::kernels::testing
