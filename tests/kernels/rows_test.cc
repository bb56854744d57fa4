// product_rows_pairs, weighted_sum_rows_pairs: every table against its own products of lane blocks, which have tests of
// their own, on odd sizes, at page ends. amxbf16's are in tiles_bf16_test.cc too.
#include "kernels/rows_testing.h"

namespace dgemma::kernels::testing {
namespace {

using TokensAsRows = EachTable;
DG_FOR_EACH_TABLE(TokensAsRows);

void check_all(const KernelTable& t) {
  for (size_t tokens = 1; tokens <= 16; ++tokens) {
    RowsCase(tokens, 19, 70).check_product(t);
    RowsCase(tokens, 19, 70).check_weighted_sum(t);
  }
  for (size_t n = 1; n <= 35; ++n) {
    RowsCase(3, n, 34, 2).check_product(t);
    RowsCase(3, n, 34, 2).check_weighted_sum(t);
  }
  for (size_t k = 2; k <= 140; k += 2) {
    RowsCase(1 + k % 3, 17, k).check_product(t);
    RowsCase(1 + k % 3, 17, k).check_weighted_sum(t);
  }
  RowsCase(18, 64, 512).check_product(t);
}

TEST_P(TokensAsRows, have_the_bits_of_lanes) { check_all(table()); }

}  // namespace
}  // namespace dgemma::kernels::testing
