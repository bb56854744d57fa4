// The table of kernels: pure functions on raw memory, one table per instruction set.
//
// Every kernel is single-threaded, allocates nothing and cannot fail; shapes are checked above, in ops. All activations
// are in lane blocks (tensor/blocks.h): [blocks, features, 16] f32, 64-byte aligned, a block `..._stride` floats (a
// multiple of 16) after the one before. Weights lie where the file put them: any address that suits their type; so may
// scale, rescale, tile_sum, cos and sin.
// The value for one row depends on that row only, and a sum over features runs in ascending order in one accumulator
// per row. Products of floats are summed in double and agree bit for bit in all tables, and so do products of bf16; in
// the rest, tables that fuse multiply and add (avx2, avx512, neon) agree, scalar and sse2 round twice and may differ in
// the last bits, and amx and amxbf16 have products of their own. A table takes what it lacks from the one below (a
// partial port is right). Nothing but <cstddef> and <cstdint> is included here:
// files built for one instruction set see this header and no other. Sources: gemma.cpp and simdjson for the dispatch,
// docs/ARCHITECTURE.md "Tokens are lanes" for the layout. Tests: tests/kernels/*: every table against scalar, odd
// sizes, buffers that end at a page end.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dgemma::kernels {

/// Running softmax statistics of 16 rows (struct of lanes), for softmax over more keys or tokens than fit in one tile.
struct alignas(64) SoftmaxLanes {
  float max[16];        ///< largest logit so far; -inf at the start
  double sum[16];       ///< sum of exp(logit - max)
  double weighted[16];  ///< sum of exp(logit - max) * (logit - max), for the entropy
  int32_t best[16];     ///< index of the largest logit, the lowest one where several are equal
};

/// The stored formats that a table decodes, in the order of tensor::DType's block formats, then F16 (which is a block
/// of one). decode_index (kernels.h) is the way here from a DType.
enum DecodeFormat : size_t {
  kDecodeQ8_0,
  kDecodeQ4_0,
  kDecodeQ4_1,
  kDecodeQ5_0,
  kDecodeQ5_1,
  kDecodeQ2_K,
  kDecodeQ3_K,
  kDecodeQ4_K,
  kDecodeQ5_K,
  kDecodeQ6_K,
  kDecodeIQ4_NL,
  kDecodeIQ4_XS,
  kDecodeF16,
  kDecodeFormats
};

/// Rows of packed weights that a weighted sum takes at a time; with amx their probabilities share a scale.
inline constexpr size_t kSummedRun = 256;

struct KernelTable {
  const char* name;

  // Products of floats, exact in double, added up there in ascending order and rounded once.

  /// c[b][n][lane] = sum_k w[n][k] * x[b][k][lane].  w: n rows of k values, ldw values apart.
  void (*product_f32)(const float* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                      size_t blocks, size_t n, size_t k);
  /// The same with bf16 weights, widened exactly.
  void (*product_bf16)(const uint16_t* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                       size_t blocks, size_t n, size_t k);
  /// c[b][n][lane] = c[b][n][lane] * scale[b][lane] + sum_v w[v][n] * p[b][v][lane]: the product with w transposed, for
  /// attention's values and the soft embedding. scale: 16 floats a block, or null for 1.
  void (*weighted_sum_f32)(const float* w, size_t ldw, const float* p, size_t p_stride, float* c, size_t c_stride,
                           const float* scale, size_t blocks, size_t n, size_t v);
  void (*weighted_sum_bf16)(const uint16_t* w, size_t ldw, const float* p, size_t p_stride, float* c, size_t c_stride,
                            const float* scale, size_t blocks, size_t n, size_t v);

  /// out[i] = value i of `blocks`, for i < values, a multiple of the format's block (32 or 256 values; F16: 1). Bit for
  /// bit what tensor::quant::decode gives in every table, but that a NaN may have other payload bits. Reads the blocks'
  /// bytes and no others, at any address; writes `values` floats at any address of a float (64-byte aligned is
  /// fastest).
  void (*decode[kDecodeFormats])(const uint8_t* blocks, size_t values, float* out);

  // Integer products. Packed weights and quantised activations are drawn in tensor/packed_layout.h. The sum over 32
  // columns is an exact int32; sums are then added in f32 in ascending order of columns:
  //     c = fma(float(sum) * activations' scale, weight's scale, c)
  // so tables that fuse agree bit for bit here too. The amx table folds weights and has one scale for 256 columns:
  // its results are its own, exactly those of the folded reference (scalar_int8.h), and a product takes activations of
  // the same table's quantise only.

  /// Quantises one block: x [features, 16] to out [quantised_features(features), 16]. By token and 32 features (amx:
  /// 256): scale = largest / 127, value = x * (127 / largest) to the nearest, ties to even. A group with a NaN or an
  /// infinity gets a scale that is not finite, so what is computed from it is not finite either. out must not overlap
  /// x.
  void (*quantise)(const float* x, size_t features, float* out);
  /// Features of a block, in whole superblocks, that quantise has to be given together: a multiple of these may be
  /// quantised apart from the rest.
  size_t quantised_together;
  /// c[b][n][lane] = (scale null: 0, else c[b][n][lane] * scale[b][lane]) + sum_k w[n][k] * x[b][k][lane].
  /// w: panels of 16 rows, panel_stride bytes apart, each with superblocks for k columns; x: this table's blocks of k
  /// quantised features, of which `tokens` tokens count: the lanes of c past them get any finite value. Rows of the
  /// last panel past n are read, not written.
  void (*product_packed4)(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c,
                          size_t c_stride, const float* scale, size_t tokens, size_t n, size_t k);
  void (*product_packed8)(const uint8_t* w, size_t panel_stride, const float* x, size_t x_stride, float* c,
                          size_t c_stride, const float* scale, size_t tokens, size_t n, size_t k);
  // The transpose of up to 64 rows of packed weights, 1 .. 4 panels: the 32-column scales are folded into the codes,
  // weight = row_scale * code within 0.75 of a code. row_scale is about the row's largest scale, of a 4-bit row a 16th
  // of it.

  /// row_scale [panels * 16] of rows of k columns.
  void (*row_scales4)(const uint8_t* w, size_t panel_stride, size_t panels, size_t k, float* row_scale);
  void (*row_scales8)(const uint8_t* w, size_t panel_stride, size_t panels, size_t k, float* row_scale);
  /// One superblock of each panel to one 8-bit superblock, scales 1, in each of four panels that are out_stride bytes
  /// apart: 64 columns by 64 rows. Rows of panels that are not there are zeros.
  void (*transpose_packed4)(const uint8_t* w, size_t panel_stride, size_t panels, const float* row_scale, uint8_t* out,
                            size_t out_stride);
  void (*transpose_packed8)(const uint8_t* w, size_t panel_stride, size_t panels, const float* row_scale, uint8_t* out,
                            size_t out_stride);

  // The weighted sum of packed rows, for the soft embedding: c[b][n][lane] + sum_v w[v][n] * p[b][v][lane], made of the
  // transpose and product_packed8: p times the row scales, quantised by 32 rows, is what is multiplied. So it is within
  // about 1 % (tests/ops/packed_test.cc), and agrees in all tables as product_packed8 does. With amx probabilities are
  // quantised by 256 rows to unsigned values and sums are those of the folded reference (scalar_int8.h).

  /// Prepares one block, p [v, 16] >= 0, times row_scale [v]: out [quantised_features(v), 16], for this table's
  /// weighted_sum_packed only. Where a number is not finite, the sums of its lane are not. out must not overlap p.
  void (*quantise_probabilities)(const float* p, const float* row_scale, size_t v, float* out);
  /// Multiplies what was prepared of v rows by factor [16].
  void (*rescale_probabilities)(float* prepared, const float* factor, size_t v);
  /// c[b][i][lane] = c[b][i][lane] * scale[b][lane] + the sum over v rows of w [v, n], for i < n.  w: panels of 16 rows
  /// as for product_packed; row_scale: as row_scales gave it for them, with which p was prepared; p: prepared blocks.
  /// scale: 16 floats a block, or null for 1.
  void (*weighted_sum_packed4)(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p,
                               size_t p_stride, float* c, size_t c_stride, const float* scale, size_t blocks, size_t n,
                               size_t v);
  void (*weighted_sum_packed8)(const uint8_t* w, size_t panel_stride, const float* row_scale, const float* p,
                               size_t p_stride, float* c, size_t c_stride, const float* scale, size_t blocks, size_t n,
                               size_t v);

  // Products in bf16. A block of pairs is [ceil(k / 2), 16] words, a lane block of half the height: word i of a lane
  // has feature 2 i in its low half and 2 i + 1 in its high half, 0 past the last. Products of two bf16 are exact in
  // f32, and a pair is added in two steps, each rounded to the nearest:
  //     c = c + w[2 i + 1] x[2 i + 1],  then  c = c + w[2 i] x[2 i]
  // as vdpbf16ps does it, so all tables, those that do not fuse too, agree bit for bit. But that instruction takes
  // numbers below 2^-126, be they weights, activations or sums, for zeros; the others may, too. amxbf16 adds 32 columns
  // at a time (lanes_tiles_bf16.inc), so its products and weighted sums differ in the last bits.

  /// out[i] = x[i] to the nearest bf16, ties to even, for i < count; a NaN stays one.
  void (*round_values)(const float* x, size_t count, uint16_t* out);
  /// One block, x [features, 16], to a block of pairs, rounded in the same way. out must not overlap x.
  void (*round_pairs)(const float* x, size_t features, float* out);
  /// out[i][j] = w[2 i][j] in the low half, w[2 i + 1][j] in the high one: rows side by side, as weighted_sum_pairs
  /// reads them. w: `rows` rows of n values, ldw values apart; one past the last is zeros. out: rows of n words.
  void (*interleave_rows)(const uint16_t* w, size_t ldw, size_t rows, size_t n, uint32_t* out);
  /// c[b][n][lane] = sum_k w[n][k] * x[b][k][lane].  w: n rows of k values, ldw values apart; k and ldw are even. x:
  /// blocks of k / 2 pairs.
  void (*product_pairs)(const uint16_t* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                        size_t blocks, size_t n, size_t k);
  /// c[b][n][lane] = c[b][n][lane] * scale[b][lane] + sum_v w[v][n] * p[b][v][lane], with rows 2 i and 2 i + 1 of w
  /// side by side: v / 2 rows of n words, ldw words apart. p: blocks of v / 2 pairs; v is even.
  void (*weighted_sum_pairs)(const uint32_t* w, size_t ldw, const float* p, size_t p_stride, float* c, size_t c_stride,
                             const float* scale, size_t blocks, size_t n, size_t v);

  // The same two for a few tokens as rows, where a lane block would be nearly empty: the same sums in the same order,
  // so a token's bits do not depend on which of the two computes it. amxbf16 is no exception.

  /// c[t][n] = sum_k w[n][k] * x[t][k].  x: rows of k / 2 pairs, x_stride words apart; c: rows c_stride floats apart; k
  /// is even.
  void (*product_rows_pairs)(const uint16_t* w, size_t ldw, const float* x, size_t x_stride, float* c, size_t c_stride,
                             size_t tokens, size_t n, size_t k);
  /// c[t][n] = c[t][n] * scale[t] + sum_v w[v][n] * p[v][t].  w: v rows as they are, not side by side; p [ceil(v / 2),
  /// 16] pairs, a lane block from the first token's lane on, the last pair's high half zero where v is odd; n is even.
  void (*weighted_sum_rows_pairs)(const uint16_t* w, size_t ldw, const float* p, float* c, size_t c_stride,
                                  const float* scale, size_t tokens, size_t n, size_t v);

  // What the products' inner steps reach on registers alone: runs a number of rounds of independent steps, fewer than
  // 2^20, and gives the operations (a multiply-add counts two), or 0 where what they gave is wrong.

  double (*peak_f32)(size_t rounds);   ///< of product_f32
  double (*peak_bf16)(size_t rounds);  ///< of product_pairs
  double (*peak_int8)(size_t rounds);  ///< of product_packed4

  // The rest works on one block: x and out are [features, 16]; out may be x.

  /// out[d] = x[d] * (mean_d(x^2) + eps)^-0.5 * weight[d]; weight null = 1. The mean is summed in f32 as 8 interleaved
  /// partial sums (d mod 8), then added pairwise.
  void (*rms_norm)(const float* x, const float* weight, float eps, float* out, size_t features);
  /// x[d] += y[d], then times scale (1 for none).
  void (*add_scaled)(float* x, const float* y, float scale, size_t features);
  /// x[d][lane] *= factor[lane], and sum[d][lane] += weight[lane] * x[d][lane], the product rounded before the sum.
  void (*scale_lanes)(float* x, const float* factor, size_t features);
  void (*add_weighted)(const float* x, const float* weight, float* sum, size_t features);
  /// x[d][lane] *= factor[d].
  void (*scale_features)(float* x, const float* factor, size_t features);
  /// out[d] = gelu_tanh(gate[d]) * up[d].
  void (*gelu_mul)(const float* gate, const float* up, float* out, size_t features);
  /// Half-split rotary embedding of one head, in place: pairs (i, i + half). cos, sin: [half, 16].
  void (*rope)(float* x, const float* cos, const float* sin, size_t half);
  /// x[d] = cap * tanh(x[d] / cap) * scale.
  void (*softcap)(float* x, float cap, float scale, size_t features);
  /// One tile of an online softmax over `count` logits with indices first .. first+count-1:
  /// replaces z[i][lane] by exp(z - new max), updates stats, and gives in rescale[lane] the factor exp(old max - new
  /// max) for what was summed before. z = -inf is a key that this lane does not see (every tile has one that it sees,
  /// or the lane's max stays -inf: then z becomes 0 and rescale 1). tile_sum[lane] (or null): sum of this tile's new
  /// values. Sums run in f32 over 8 logits in ascending order, then in double; exp(x) is 0 for x < -87; a NaN logit is
  /// never the largest and makes its lane's sums NaN.
  void (*softmax_tile)(float* z, size_t count, int32_t first, SoftmaxLanes* stats, float* rescale, double* tile_sum);
  /// The same for attention, which wants neither the entropy nor the best one (`weighted` and `best` stay as they are):
  /// the new values are rounded and leave as a block of pairs, for round_pairs of what softmax_tile gives. `pairs` may
  /// be z.
  void (*softmax_pairs)(float* z, size_t count, SoftmaxLanes* stats, float* rescale, float* pairs);
  /// out[d][lane] = rows[lane][d]: 16 rows, each at any address of a float, to lanes. Words may mean anything.
  void (*gather_rows)(const float* const* rows, float* out, size_t features);
  /// out[d] = sum of weight[i] * rows[i][d] for i < count from 0 on, in ascending order, products rounded before they
  /// are added. One row of `features` in and out, at any address of a float. Asks for as many that follow in each row.
  void (*sum_rows)(const float* const* rows, const float* weight, size_t count, float* out, size_t features);
  /// out[r][d] = x[d][r] for r < rows: lanes to rows of `out_stride` words, which may mean anything.
  void (*lanes_to_rows_f32)(const float* x, size_t features, float* out, size_t out_stride, size_t rows);
  /// The same, rounded to the nearest bf16, ties to even; a NaN stays one (with other payload bits).
  void (*lanes_to_rows_bf16)(const float* x, size_t features, uint16_t* out, size_t out_stride, size_t rows);
  /// x[d][r] = row r's value d, widened and times scale; rows[r] null = zeros. For embeddings.
  void (*rows_to_lanes_f32)(const float* const* rows, float scale, float* x, size_t features);
  void (*rows_to_lanes_bf16)(const uint16_t* const* rows, float scale, float* x, size_t features);
};

}  // namespace dgemma::kernels
