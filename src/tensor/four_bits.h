// Rounding 32 numbers to 4 bits with one scale, by a search for the scale with the least squared error.
//
// A number becomes scale * code, code in -8 .. 7. As in Q4_0 the number of largest magnitude is near the end that has
// the extra code, whatever its sign, so a scale may be negative; unlike there the scale is not settled by that number
// alone. Nine scales, which bring it to -7 .. -9 (beyond the codes: the largest few are cut off so that all others have
// finer steps), are tried: numbers are rounded, the scale that fits these codes best is computed in closed form, and
// the codes that leave the least error win. Numbers that are 4 bits already come back as they are.
// What it is worth, as the error's root mean square over that of the numbers, against Q4_0's rule (and the best of
// 400 scales of both signs): normal numbers 0.0811 : 0.0861 (0.0810), Laplace 0.102 : 0.107 (0.102), matrices of the
// pocket model 0.081 : 0.086. The other sign was never worth trying.
// A squared error counts every number of a group the same: no activations are looked at.
// The same bits on every machine: f32 arithmetic in a fixed order. Source: least squares; llama.cpp's quantisers search
// in the same spirit. Test: tests/tensor/four_bits_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dgemma::tensor {

struct FourBitGroup {
  uint16_t scale = 0;     ///< f16
  uint32_t line[4] = {};  ///< code + 8 in nibbles, as a row of packed_layout.h has them
};

/// Rounds values[32]; one whose largest magnitude is below 2^-64 becomes zeros. The squared error is that of Q4_0's
/// rule at most, but for the scale's rounding to f16. False where a value is not finite or the scale, about an eighth
/// of the largest, is beyond an f16 (65504).
[[nodiscard]] bool round_to_four_bits(const float* values, FourBitGroup& out);

}  // namespace dgemma::tensor
