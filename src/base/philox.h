// Philox4x32-10: random numbers that are a function of (seed, canvas, step, row, purpose), never of who drew before.
//
// So a seed means the same numbers on every machine and with any number of threads or users; the same text where the
// kernels round alike. Not a stream generator: it has no state. Source: Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011); docs/MODEL.md, "Random numbers".
// Test: tests/base/philox_test.cc (known answers of the paper's reference code).
#pragma once

#include <array>
#include <cstdint>

namespace dgemma::base {

/// Ten rounds: four output words from a counter of four words and a key of two.
constexpr std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + 0x9E3779B9, k[1] + 0xBB67AE85};
  }
  return c;
}

/// What a draw is for; the last word of the counter.
enum class DrawPurpose : uint32_t { kInitialCanvas = 0, kSample = 1, kRenoise = 2 };

/// The 64 random bits of one draw. `step` is 0 for the initial canvas.
constexpr uint64_t draw_bits(uint64_t seed, DrawPurpose purpose, uint32_t canvas, uint32_t step, uint32_t row) {
  const auto x = philox4x32_10({row, step, canvas, static_cast<uint32_t>(purpose)},
                               {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return x[0] | uint64_t{x[1]} << 32;
}

/// A uniform integer in [0, n): the high half of bits * n.
constexpr uint32_t uniform_below(uint64_t bits, uint32_t n) {
  return static_cast<uint32_t>((static_cast<unsigned __int128>(bits) * n) >> 64);
}

/// A uniform real in [0, 1) with 53 random bits.
constexpr double uniform_unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace dgemma::base
