// The integer products for AArch64 with the matrix instructions (i8mm); everything else is the neondot table.
//
// usmmla multiplies two rows of 8 columns with two tokens of 8 features: 32 products, twice those of sdot. So operands
// are pairs, 16 bytes each: rows 2 p and 2 p + 1 of a panel, 8 columns of one and then of the other; tokens likewise.
// Both come from two lines of the packed layout, whose words zip1 and zip2 bring side by side. Results are 2 x 2:
// [row, token], [row, next token], [next row, token], [next row, next token].
// A strip of four panels is opened four superblocks at a time into 20 KiB. Then four tokens at a time are paired, once
// for all the strip's rows, and multiplied with 8 rows: 8 integer and 8 f32 sums stay in registers for the whole chunk,
// and c is taken apart into 2 x 2 only before and after it.
// What is computed is what the other exact tables compute (table.h), bit for bit: an exact sum over 32 columns, one
// step to f32, ascending. Codes stay unsigned; their offset is where a sum starts, as the activations have it. One and
// two tokens would leave half of the products unused and go the neondot table's way.
// No standard library in this file: it is built with -m flags. Test: tests/kernels/packed_test.cc, which runs every
// table. Counts of instructions: docs/PERF.md.
#include <arm_neon.h>

#define DG_WIDTH 4
#define DG_SET1(s) vdupq_n_f32(s)
#define DG_FMA(a, b, c) vfmaq_f32(c, a, b)
#include "kernels/lanes_types.inc"

#include "kernels/lanes_int8_shared.inc"

namespace dgemma::kernels {
namespace {

constexpr size_t kStripPanels = 4;
constexpr size_t kChunk = 4;                // superblocks
constexpr size_t kSteps = kSuperblock / 8;  // usmmla's depth is 8 columns
constexpr size_t kGroupSteps = kScaleGroup / 8;
constexpr size_t kRowPairs = kPanelRows / 2;
constexpr size_t kTilePairs = 4;     // row pairs whose sums are in registers
constexpr size_t kQuad = 4;          // tokens that are paired at a time
constexpr size_t kFewestTokens = 3;  // that usmmla multiplies

// A superblock of a panel.
struct alignas(64) OpenedRows {
  float scale[kGroups][kRowPairs][4];     // each row's twice
  uint8_t code[kSteps][kRowPairs][2][8];  // [.., row of the pair, column]
};

// A superblock of four tokens; those past the last have scales of 0.
struct alignas(64) PairedTokens {
  float scale[kGroups][kQuad];
  int32_t start[kGroups][kQuad];          // of a sum
  int8_t value[kSteps][kQuad / 2][2][8];  // [.., token of the pair, feature]
};

struct Space {
  OpenedRows rows[kStripPanels][kChunk];
  PairedTokens tokens[kChunk];
  alignas(64) float edge[2 * kTilePairs][kQuad];  // of c's last rows
};

// Words of two lines side by side: the pairs of lanes 0 and 1, and of lanes 2 and 3.
DG_INLINE void store_pairs(U first, U second, void* to) {
  const uint32x4x2_t pairs = vzipq_u32((uint32x4_t)first, (uint32x4_t)second);
  store_int(to, (I)pairs.val[0]);
  store_int(static_cast<uint8_t*>(to) + 16, (I)pairs.val[1]);
}

DG_INLINE U line_at(const uint8_t* at) { return *reinterpret_cast<const UAnywhere*>(at); }

template <int kBits>
DG_INLINE void open_superblock(const uint8_t* from, OpenedRows& to) {
#pragma GCC unroll 8
  for (size_t i = 0; i < kGroups * kPanelRows; i += kWidth) {
    const F scale = scales_at(from + 2 * i);
    store_pairs((U)scale, (U)scale, to.scale[0][0] + 2 * i);
  }
  const uint8_t* lines = from + kScaleBytes;
#pragma GCC unroll 2
  for (size_t step = 0; step < kSteps; ++step)
#pragma GCC unroll 4
    for (size_t row = 0; row < kPanelRows; row += kWidth) {
      uint8_t* pairs = to.code[step][row / 2][0];
      if constexpr (kBits == 4) {
        const U codes = line_at(lines + step * kLineBytes + row * 4);
        store_pairs(codes & 0x0f0f0f0fu, codes >> 4 & 0x0f0f0f0fu, pairs);
      } else {
        const uint8_t* line = lines + 2 * step * kLineBytes + row * 4;
        store_pairs(line_at(line), line_at(line + kLineBytes), pairs);
      }
    }
}

// A superblock of the four tokens at x, of which `tokens` count.
template <int kBits>
DG_INLINE void pair_tokens(const float* x, size_t tokens, PairedTokens& to) {
  const I there = I{0, 1, 2, 3} < static_cast<int32_t>(tokens);
#pragma GCC unroll 2
  for (size_t group = 0; group < kGroups; ++group) {
    store(to.scale[group], select(there, load(x + group * kLanes), all(0.0f)));
    store_int(to.start[group], load_int(x + (kStartRow + group) * kLanes) * (kBits == 4 ? 1 : 16));
  }
#pragma GCC unroll 8
  for (size_t step = 0; step < kSteps; ++step) {
    const float* line = x + (kValueRow + 2 * step) * kLanes;
    store_pairs((U)load(line), (U)load(line + kLanes), to.value[step][0][0]);
  }
}

// Two floats, twice.
DG_INLINE F both(const float* two) { return (F)vdupq_lane_f64((float64x1_t)vld1_f32(two), 0); }

// The sums of kTilePairs pairs of rows with T pairs of tokens.
template <int T>
struct Tile {
  static constexpr int kRows = static_cast<int>(kTilePairs);
  F total[kRows][T];

  DG_INLINE void load_from(const float* c, size_t row_stride) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        const float* at = c + static_cast<size_t>(2 * r) * row_stride + 2 * t;
        total[r][t] = (F)vcombine_f32(vld1_f32(at), vld1_f32(at + row_stride));
      }
  }

  DG_INLINE void store_to(float* c, size_t row_stride) const {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        float* at = c + static_cast<size_t>(2 * r) * row_stride + 2 * t;
        vst1_f32(at, vget_low_f32((float32x4_t)total[r][t]));
        vst1_f32(at + row_stride, vget_high_f32((float32x4_t)total[r][t]));
      }
  }

  DG_INLINE void add_group(const OpenedRows& w, const PairedTokens& x, size_t group, size_t first_pair) {
    int32x4_t sum[kRows][T];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) sum[r][t] = (int32x4_t)both(reinterpret_cast<const float*>(x.start[group]) + 2 * t);
#pragma GCC unroll 4
    for (size_t step = group * kGroupSteps; step < (group + 1) * kGroupSteps; ++step) {
      int8x16_t tokens[T];
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) tokens[t] = vld1q_s8(x.value[step][t][0]);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const uint8x16_t rows = vld1q_u8(w.code[step][first_pair + static_cast<size_t>(r)][0]);
#pragma GCC unroll 2
        for (int t = 0; t < T; ++t) sum[r][t] = vusmmlaq_s32(sum[r][t], rows, tokens[t]);
      }
    }
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t) {
      const F x_scale = both(x.scale[group] + 2 * t);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r)
        total[r][t] = fma((F)vcvtq_f32_s32(sum[r][t]) * x_scale,
                          load(w.scale[group][first_pair + static_cast<size_t>(r)]), total[r][t]);
    }
  }
};

// 8 rows of an opened chunk of `count` superblocks, for T pairs of tokens; c's rows are row_stride apart.
template <int T>
__attribute__((noinline)) void multiply_tile(const OpenedRows* w, const PairedTokens* x, size_t count,
                                             size_t first_pair, float* c, size_t row_stride) {
  Tile<T> tile;
  tile.load_from(c, row_stride);
  for (size_t s = 0; s < count; ++s)
#pragma GCC unroll 2
    for (size_t group = 0; group < kGroups; ++group) tile.add_group(w[s], x[s], group, first_pair);
  tile.store_to(c, row_stride);
}

// The same for the last of a matrix's rows, `rows` of 8: the others are computed beside c.
template <int T>
void multiply_edge(Space& space, const OpenedRows* w, size_t count, size_t first_pair, float* c, size_t rows) {
  for (size_t r = 0; r < 2 * kTilePairs; ++r) store(space.edge[r], r < rows ? load(c + r * kLanes) : all(0.0f));
  multiply_tile<T>(w, space.tokens, count, first_pair, space.edge[0], kQuad);
  for (size_t r = 0; r < rows; ++r) store(c + r * kLanes, load(space.edge[r]));
}

// All `rows` rows of the strip for the paired tokens.
template <int T>
DG_INLINE void multiply_strip(Space& space, size_t count, float* c, size_t rows) {
  constexpr size_t kTileRows = 2 * kTilePairs;
  for (size_t row = 0; row < rows; row += kTileRows) {
    const OpenedRows* w = space.rows[row / kPanelRows];
    const size_t first_pair = row % kPanelRows / 2;
    if (row + kTileRows <= rows)
      multiply_tile<T>(w, space.tokens, count, first_pair, c + row * kLanes, kLanes);
    else
      multiply_edge<T>(space, w, count, first_pair, c + row * kLanes, rows - row);
  }
}

// The opened strip with all tokens; t is at both.
template <int kBits>
DG_INLINE void multiply_chunk(Space& space, const Target& t, size_t count, size_t rows, size_t tokens) {
  for (size_t token = 0; token < tokens; token += kQuad) {
    const size_t quad = least(kQuad, tokens - token);
    const Target at = t.from_block(token / kLanes);
    for (size_t s = 0; s < count; ++s)
      pair_tokens<kBits>(at.from_superblock(s).x + token % kLanes, quad, space.tokens[s]);
    if (quad > 2)
      multiply_strip<2>(space, count, at.c + token % kLanes, rows);
    else
      multiply_strip<1>(space, count, at.c + token % kLanes, rows);
  }
}

template <int kBits>
void product_packed(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c, size_t c_stride,
                    const float* scale, size_t tokens, size_t n, size_t k) {
  if (tokens < kFewestTokens) {
    const KernelTable& few = *neondot_table();
    return (kBits == 4 ? few.product_packed4 : few.product_packed8)(w, panel_stride, x, x_stride, c, c_stride, scale,
                                                                    tokens, n, k);
  }
  const size_t superblocks = tensor::superblocks_for(k), blocks = (tokens + kLanes - 1) / kLanes;
  Space space;
  for (size_t row = 0; row < n; row += kStripPanels * kPanelRows, w += kStripPanels * panel_stride) {
    const size_t rows = least(kStripPanels * kPanelRows, n - row);
    const Target strip = Target{x, x_stride, c, c_stride}.from_row(row);
    begin_rows(strip, scale, blocks, rows);
    for (size_t s0 = 0; s0 < superblocks; s0 += kChunk) {
      const size_t count = least(kChunk, superblocks - s0);
      for (size_t panel = 0; panel * kPanelRows < rows; ++panel)
        for (size_t s = 0; s < count; ++s)
          open_superblock<kBits>(w + panel * panel_stride + (s0 + s) * superblock_bytes<kBits>(), space.rows[panel][s]);
      multiply_chunk<kBits>(space, strip.from_superblock(s0), count, rows, tokens);
    }
  }
}

}  // namespace

const KernelTable* neoni8mm_table() {
  static const KernelTable table = [] {
    KernelTable t = *neondot_table();
    t.name = "neoni8mm";
    t.product_packed4 = product_packed<4>;
    t.product_packed8 = product_packed<8>;
    return t;
  }();
  return &table;
}

}  // namespace dgemma::kernels
