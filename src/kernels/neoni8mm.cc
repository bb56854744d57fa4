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

#include "kernels/lanes_int8_turned.inc"

namespace dgemma::kernels {
namespace {

constexpr size_t kTileRows = 8, kTilePairs = kTileRows / 2;  // whose sums are in registers
constexpr size_t kPanelTiles = kPanelRows / kTileRows;
constexpr size_t kStripPanels = 4;
constexpr size_t kChunk = 4;                     // superblocks
constexpr size_t kGroupSteps = kScaleGroup / 8;  // usmmla's depth is 8 columns
constexpr size_t kQuad = 4;                      // tokens that are paired at a time
constexpr size_t kFewestTokens = 3;              // that usmmla multiplies

// A group of 32 columns of a tile's rows.
struct alignas(64) RowPairs {
  uint8_t code[kGroupSteps][kTilePairs][2][8];  // [.., row of the pair, column]
  float scale[kTilePairs][4];                   // each row's twice
};

// A group of four tokens.
struct alignas(64) TokenPairs {
  int8_t value[kGroupSteps][kQuad / 2][2][8];  // [.., token of the pair, feature]
  float scale[kQuad / 2][4];                   // each pair's twice; 0 past the last token
  int32_t start[kQuad / 2][4];                 // of a sum, likewise
};

struct Space {
  RowPairs rows[kStripPanels * kPanelTiles][kChunk * kGroups];
  TokenPairs tokens[kChunk * kGroups];
  alignas(64) float edge[kTileRows][kLanes];  // c's last rows
};

// Words of two lines side by side: the pairs of lanes 0 and 1, and of lanes 2 and 3.
DG_INLINE void store_pairs(U first, U second, void* to) {
  const uint32x4x2_t pairs = vzipq_u32((uint32x4_t)first, (uint32x4_t)second);
  store_int(to, (I)pairs.val[0]);
  store_int(static_cast<uint8_t*>(to) + 16, (I)pairs.val[1]);
}

DG_INLINE U line_at(const uint8_t* at) { return *reinterpret_cast<const UAnywhere*>(at); }

// Group `group` of a superblock's rows, from the tile's first row on.
template <int kBits>
DG_INLINE void open_rows(const uint8_t* superblock, size_t group, size_t row, RowPairs& to) {
  const uint8_t* scales = superblock + (group * kPanelRows + row) * 2;
  const uint8_t* lines = superblock + kScaleBytes + group * (kBits == 4 ? 4 : 8) * kLineBytes + row * 4;
#pragma GCC unroll 2
  for (size_t i = 0; i < kTileRows; i += kWidth) {
    const U scale = (U)scales_at(scales + 2 * i);
    store_pairs(scale, scale, to.scale[i / 2]);
#pragma GCC unroll 4
    for (size_t step = 0; step < kGroupSteps; ++step) {
      if constexpr (kBits == 4) {
        const U codes = line_at(lines + step * kLineBytes + i * 4);
        store_pairs(codes & 0x0f0f0f0fu, codes >> 4 & 0x0f0f0f0fu, to.code[step][i / 2]);
      } else {
        const uint8_t* line = lines + 2 * step * kLineBytes + i * 4;
        store_pairs(line_at(line), line_at(line + kLineBytes), to.code[step][i / 2]);
      }
    }
  }
}

// `superblocks` superblocks of `panels` panels; w: the first panel's.
template <int kBits>
DG_INLINE void open_chunk(const uint8_t* w, size_t panel_stride, size_t panels, size_t superblocks, Space& space) {
  for (size_t panel = 0; panel < panels; ++panel)
    for (size_t s = 0; s < superblocks; ++s)
      for (size_t group = 0; group < kGroups; ++group)
        for (size_t tile = 0; tile < kPanelTiles; ++tile)
          open_rows<kBits>(w + panel * panel_stride + s * superblock_bytes<kBits>(), group, tile * kTileRows,
                           space.rows[panel * kPanelTiles + tile][s * kGroups + group]);
}

// The lower and the upper two of four lanes, each twice.
DG_INLINE void store_twice(U four, void* to) {
  store_int(to, (I)__builtin_shufflevector(four, four, 0, 1, 0, 1));
  store_int(static_cast<uint8_t*>(to) + 16, (I)__builtin_shufflevector(four, four, 2, 3, 2, 3));
}

// Group `group` of the superblock of four tokens at x, of which `tokens` count.
template <int kBits>
DG_INLINE void pair_tokens(const float* x, size_t group, size_t tokens, TokenPairs& to) {
  const I there = I{0, 1, 2, 3} < static_cast<int32_t>(tokens);
  store_twice((U)select(there, load(x + group * kLanes), all(0.0f)), to.scale);
  store_twice((U)start_of<kBits>(load_int(x + (kStartRow + group) * kLanes)), to.start);
#pragma GCC unroll 4
  for (size_t step = 0; step < kGroupSteps; ++step) {
    const float* line = x + (kValueRow + group * kGroupLines + 2 * step) * kLanes;
    store_pairs((U)load(line), (U)load(line + kLanes), to.value[step]);
  }
}

// The sums of a tile's rows with T pairs of tokens.
template <int T>
struct Tile {
  static constexpr int R = static_cast<int>(kTilePairs);
  F total[R][T];

  static DG_INLINE size_t offset(int r, int t) {
    return static_cast<size_t>(r) * 2 * kLanes + static_cast<size_t>(t) * 2;
  }

  DG_INLINE void load_from(const float* c) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        const float* at = c + offset(r, t);
        total[r][t] = (F)vcombine_f32(vld1_f32(at), vld1_f32(at + kLanes));
      }
  }

  DG_INLINE void store_to(float* c) const {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) {
        float* at = c + offset(r, t);
        vst1_f32(at, vget_low_f32((float32x4_t)total[r][t]));
        vst1_f32(at + kLanes, vget_high_f32((float32x4_t)total[r][t]));
      }
  }

  DG_INLINE void add_group(const RowPairs& w, const TokenPairs& x) {
    int32x4_t sum[R][T];
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t) {
      const auto start = vld1q_s32(x.start[t]);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum[r][t] = start;
    }
#pragma GCC unroll 4
    for (size_t step = 0; step < kGroupSteps; ++step) {
      int8x16_t tokens[T];
#pragma GCC unroll 2
      for (int t = 0; t < T; ++t) tokens[t] = vld1q_s8(x.value[step][t][0]);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const uint8x16_t rows = vld1q_u8(w.code[step][r][0]);
#pragma GCC unroll 2
        for (int t = 0; t < T; ++t) sum[r][t] = vusmmlaq_s32(sum[r][t], rows, tokens[t]);
      }
    }
#pragma GCC unroll 2
    for (int t = 0; t < T; ++t) {
      const TokenScale x_scale(load(x.scale[t]));
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) total[r][t] = fma(x_scale.times((I)sum[r][t]), load(w.scale[r]), total[r][t]);
    }
  }
};

// A tile's rows and `groups` groups of an opened chunk, for T pairs of tokens.
template <int T>
__attribute__((noinline)) void multiply_tile(const RowPairs* w, const TokenPairs* x, size_t groups, float* c) {
  Tile<T> tile;
  tile.load_from(c);
#pragma GCC unroll 1
  for (size_t g = 0; g < groups; ++g) tile.add_group(w[g], x[g]);
  tile.store_to(c);
}

// All `rows` rows of the strip for the paired tokens; rows of a tile that c does not have are computed beside it.
template <int T>
DG_INLINE void multiply_strip(Space& space, size_t groups, float* c, size_t rows) {
  for (size_t row = 0; row < rows; row += kTileRows, c += kTileRows * kLanes) {
    const RowPairs* w = space.rows[row / kTileRows];
    const size_t count = least(kTileRows, rows - row);
    if (count == kTileRows) {
      multiply_tile<T>(w, space.tokens, groups, c);
      continue;
    }
    for (size_t r = 0; r < kTileRows; ++r) store(space.edge[r], r < count ? load(c + r * kLanes) : all(0.0f));
    multiply_tile<T>(w, space.tokens, groups, space.edge[0]);
    for (size_t r = 0; r < count; ++r) store(c + r * kLanes, load(space.edge[r]));
  }
}

// The opened strip with all tokens; t is at both.
template <int kBits>
DG_INLINE void multiply_chunk(Space& space, const Target& t, size_t superblocks, size_t rows, size_t tokens) {
  for (size_t token = 0; token < tokens; token += kQuad) {
    const size_t quad = least(kQuad, tokens - token), lane = token % kLanes;
    const Target at = t.from_block(token / kLanes);
    for (size_t g = 0; g < superblocks * kGroups; ++g)
      pair_tokens<kBits>(at.from_superblock(g / kGroups).x + lane, g % kGroups, quad, space.tokens[g]);
    if (quad > 2)
      multiply_strip<2>(space, superblocks * kGroups, at.c + lane, rows);
    else
      multiply_strip<1>(space, superblocks * kGroups, at.c + lane, rows);
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
      open_chunk<kBits>(w + s0 * superblock_bytes<kBits>(), panel_stride, (rows + kPanelRows - 1) / kPanelRows, count,
                        space);
      multiply_chunk<kBits>(space, strip.from_superblock(s0), count, rows, tokens);
    }
  }
}

template <int kBits>
void weighted_sum_packed(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p, size_t p_stride,
                         float* c, size_t c_stride, const float* scale, size_t blocks, size_t n, size_t v) {
  const KernelTable& below = *neondot_table();
  weighted_sum_turned<kBits>(kBits == 4 ? below.transpose_packed4 : below.transpose_packed8, product_packed<8>, w,
                             panel_stride, row_scale, {p, p_stride, c, c_stride}, scale, blocks, n, v);
}

}  // namespace

const KernelTable* neoni8mm_table() {
  static const KernelTable table = [] {
    KernelTable t = *neondot_table();
    t.name = "neoni8mm";
    t.product_packed4 = product_packed<4>;
    t.product_packed8 = product_packed<8>;
    t.weighted_sum_packed4 = weighted_sum_packed<4>;
    t.weighted_sum_packed8 = weighted_sum_packed<8>;
    return t;
  }();
  return &table;
}

}  // namespace dgemma::kernels
