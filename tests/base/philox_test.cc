// Known answers: the Random123 reference's kat_vectors for philox4x32-10, and the check value of docs/MODEL.md.
#include "base/philox.h"

#include <gtest/gtest.h>

namespace dgemma::base {
namespace {

using Words = std::array<uint32_t, 4>;

TEST(Philox, matches_the_known_answers_of_the_paper) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, draw_has_the_check_value_of_the_specification) {
  EXPECT_EQ(draw_bits(0x0123456789ABCDEF, DrawPurpose::kSample, 2, 3, 5), 0x319DBE8062190AA5u);
}

TEST(Philox, uniform_numbers_stay_in_range_at_both_ends) {
  EXPECT_EQ(uniform_below(0, 7), 0u);
  EXPECT_EQ(uniform_below(~uint64_t{0}, 7), 6u);
  EXPECT_EQ(uniform_below(~uint64_t{0}, 262144), 262143u);
  EXPECT_EQ(uniform_unit(0), 0.0);
  EXPECT_LT(uniform_unit(~uint64_t{0}), 1.0);
}

}  // namespace
}  // namespace dgemma::base
