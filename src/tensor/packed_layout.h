// The packed layout's sizes: weights of 4 or 8 bits and activations of 8 bits, made for integer dot products.
//
// Weights: a panel is 16 rows (outputs) of a matrix, cut into superblocks of 64 columns that lie one after the other,
// so a panel is one sequential stream. A superblock is
//
//     f16 scale[2][16]        scale[g][r]: of row r's columns 32 g .. 32 g + 31
//     4 bits: u8 code[8][16][4]    line i, row r, byte j: column 8 i + j in the low, 8 i + 4 + j in the high nibble
//     8 bits: u8 code[16][16][4]   line i, row r, byte j: column 4 i + j
//
// and a weight is scale * (code - 8) or scale * (code - 128). A line is 64 bytes: 16 rows' next four columns, which is
// what every instruction set wants to multiply: it broadcasts one row's four bytes to all tokens. Rows and columns past
// the matrix have scale 0.
// Activations: a block of 16 tokens has 20 rows of 16 four-byte lanes (one per token) for 64 features:
//
//     f32 scale[2][16]        of features 32 g .. 32 g + 31 (amx: all of 256 features have one), its last two bits 0
//     i32 start[2][16]        kSumOrigin - 8 * (sum of the values of the group): where a sum with 4-bit codes begins
//     i8  value[16][16][4]    line i, token t, byte j: feature 4 i + j, in -127 .. 127
//
// Integer sums begin at kSumOrigin, the bits of the float 1.5 * 2^23, and stay within 2^22 of it, so that their bits
// are the float 1.5 * 2^23 + sum. Times a scale of 22 bits the origin is exact, and one multiply-add makes sum * scale,
// rounded once, with no conversion before. (Features beyond 3e33 overflow there: their sums are not finite.)
// A quantised block is a lane block too (tensor/blocks.h) and rows are gathered out of it in the same way.
// Only <cstddef> and <cstdint> are included: the kernels' files see this header. Packing: tensor/packed.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dgemma::tensor {

inline constexpr size_t kPanelRows = 16;          // rows of a panel
inline constexpr size_t kSuperblock = 64;         // columns of a superblock
inline constexpr size_t kScaleGroup = 32;         // columns that share a scale
inline constexpr size_t kFold = 256;              // columns whose scales a folded product makes one (amx)
inline constexpr size_t kLineBytes = 64;          // 16 rows of four codes
inline constexpr size_t kScaleBytes = 64;         // 2 x 16 f16
inline constexpr size_t kSuperblockBytes4 = 576;  // 4.5 bits a weight
inline constexpr size_t kSuperblockBytes8 = 1088;
inline constexpr size_t kQuantisedRows = 20;       // rows of 16 lanes for 64 quantised features
inline constexpr uint16_t kHalfExponent = 0x7C00;  // of an f16, all ones: infinity or NaN
inline constexpr uint32_t kSumOrigin = 0x4b400000;
inline constexpr uint32_t kQuantisedScaleMask = ~3u;  // for the bits of an activation's scale

constexpr size_t superblocks_for(size_t columns) { return (columns + kSuperblock - 1) / kSuperblock; }
/// Rows of 16 lanes of a quantised block of `features` features: the "features" of the block that holds it.
constexpr size_t quantised_features(size_t features) { return superblocks_for(features) * kQuantisedRows; }

}  // namespace dgemma::tensor
