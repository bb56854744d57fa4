// See vocabulary.h.
#include "ops/vocabulary.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "base/check.h"
#include "ops/bf16_product.h"
#include "ops/packed_vocabulary.h"
#include "ops/prepared_product.h"
#include "ops/product.h"
#include "ops/top_tokens.h"

namespace dgemma::ops {
namespace {

using kernels::SoftmaxLanes;
using tensor::Arithmetic;
using tensor::Blocks;
using tensor::ConstBlocks;
using tensor::kLanes;
using tensor::Weight;

// Tokens per tile: small, since sampling computes one tile's logits again for each row.
constexpr size_t kTile = 64;
// Parts of the table. A constant of the result: the sums of the parts are added in order, whoever computed them.
constexpr size_t kParts = 8;
// Tiles of a packed table whose probabilities are kept until all of them are summed: a constant of the result, too.
constexpr size_t kSpanTiles = kMostSummedRows / kTile;
// Lane blocks that walk the table together; each row of the table is read once for all of them. In bf16 and int8 rows
// are turned once for all of them too, so they are more: in int8, where turning costs most, a whole canvas. But with
// many threads they are fewer, so that each thread has two tasks. Results do not depend on it.
size_t blocks_together(Arithmetic arithmetic, size_t blocks, int threads) {
  const size_t most = arithmetic == Arithmetic::kF32    ? 4
                      : arithmetic == Arithmetic::kBF16 ? 8
                                                        : VocabularyWorkspace::kMostBlocksTogether;
  const size_t groups = (2 * static_cast<size_t>(threads) + kParts - 1) / kParts;
  return std::clamp((blocks + groups - 1) / groups, size_t{1}, most);
}

size_t tiles_of(const VocabularyWeights& w) { return (w.head.rows + kTile - 1) / kTile; }

/// One walk over the table: a call's geometry and memory, shared by its tasks.
struct TableWalk {
  Exec& exec;
  const VocabularyWeights& weights;
  const VocabularyQuery& query;
  VocabularyWorkspace& space;
  size_t vocab, tiles, blocks, features;
  Arithmetic arithmetic;
  ConstBlocks input;  // hidden, prepared where that is needed

  TableWalk(Exec& e, const VocabularyWeights& w, const VocabularyQuery& q, VocabularyWorkspace& s)
      : exec(e),
        weights(w),
        query(q),
        space(s),
        vocab(w.head.rows),
        tiles(tiles_of(w)),
        blocks(q.hidden.blocks),
        features(q.hidden.features),
        arithmetic(w.head.arithmetic()),
        input(prepare(e, arithmetic, q.hidden, e.shared(prepared_floats(arithmetic, q.hidden)))) {
    DG_CHECK(arithmetic == w.embedding.arithmetic(), "head and embedding are multiplied in the same way");
    // VocabularyWorkspace::planned_bytes counts what is taken here.
    space.stats.resize(kParts * blocks);
    space.tile_sum.resize(tiles * blocks * kLanes);
    space.tile_max.resize(tiles * blocks * kLanes);
    const bool soft = std::any_of(q.want_soft.begin(), q.want_soft.end(), [](uint8_t x) { return x != 0; });
    if (soft) space.soft_parts.grow(kParts * blocks * features * kLanes);
    const bool any_top = std::any_of(q.top.begin(), q.top.end(), [](uint8_t x) { return x != 0; });
    if (any_top) space.top_lists.resize(kParts * blocks * kLanes * kMostTopTokens);
  }

  SoftmaxLanes& stats(size_t part, size_t block) const { return space.stats[part * blocks + block]; }
  float* soft_part(size_t part, size_t block) const {
    return space.soft_parts.data() + (part * blocks + block) * features * kLanes;
  }
  size_t top(size_t block) const { return query.top.empty() ? 0 : query.top[block]; }
  /// The lists of a block's rows: [16, top(block)].
  std::span<TopToken> top_lists(size_t part, size_t block) const {
    return {space.top_lists.data() + (part * blocks + block) * kLanes * kMostTopTokens, kLanes * top(block)};
  }
  size_t first_tile(size_t part) const { return part * tiles / kParts; }
  size_t tile_tokens(size_t tile) const { return std::min(kTile, vocab - tile * kTile); }
  /// Logits of some rows of the head for `count` blocks: [count, tokens, 16].
  void products(const Weight& rows, size_t first_block, size_t count, int worker, Blocks out) const {
    const ConstBlocks x = input.block_range(first_block, count);
    prepared_product_on_this_thread(exec, worker, rows, x, tensor::rows_in(query.rows, first_block, count), out);
  }
  /// Those of one block [tokens, 16] as they are decided on.
  void process(size_t block, float* z, size_t tokens) const {
    exec.kernels().softcap(z, weights.softcap, query.inverse_temperature[block], tokens);
  }

  void part_of_table(size_t part, size_t first_block, size_t count, int worker) const;
  void plain_tile(size_t tile, size_t part, size_t first_block, size_t count, bool soft, int worker) const;
  void packed_span(size_t first, size_t last, size_t part, size_t first_block, size_t count, bool soft,
                   int worker) const;
  bool take_statistics(size_t tile, size_t part, size_t block, float* z, float* factor) const;
  void add_soft(size_t first_token, size_t part, size_t first_block, Blocks z, const float* rescale, const Weight& head,
                int worker) const;
  bool merge(size_t block, int worker) const;
  void merge_soft(size_t block, const SoftmaxLanes& total) const;
  void merge_top(size_t block, const SoftmaxLanes& total) const;
  void sample(size_t block, const SoftmaxLanes& total, int worker) const;
  int32_t pick_token(const float* z, size_t tokens, size_t lane, double max, double target) const;
};

void TableWalk::part_of_table(size_t part, size_t first_block, size_t count, int worker) const {
  bool soft = false;
  for (size_t b = first_block; b < first_block + count; ++b) {
    stats(part, b) = {};
    std::fill_n(stats(part, b).max, kLanes, -std::numeric_limits<float>::infinity());
    if (top(b) > 0) std::ranges::fill(top_lists(part, b), TopToken{});
    soft = soft || query.want_soft[b] != 0;
  }
  if (soft) std::fill_n(soft_part(part, first_block), count * features * kLanes, 0.0f);
  const bool packed = arithmetic == Arithmetic::kInt8;
  const size_t end = first_tile(part + 1), step = packed ? kSpanTiles : 1;
  for (size_t tile = first_tile(part); tile < end; tile += step)
    if (packed)
      packed_span(tile, std::min(tile + step, end), part, first_block, count, soft, worker);
    else
      plain_tile(tile, part, first_block, count, soft, worker);
}

/// One tile of a table that is multiplied in floats.
void TableWalk::plain_tile(size_t tile, size_t part, size_t first_block, size_t count, bool soft, int worker) const {
  const size_t tokens = tile_tokens(tile);
  float* memory = exec.scratch(worker, count * kLanes * (kTile + 1));
  float* rescale = memory + count * kTile * kLanes;  // [count, 16]
  const Blocks z{memory, count, tokens, tokens * kLanes};
  const Weight rows = weights.head.row_range(tile * kTile, tokens);
  const Weight head = arithmetic == Arithmetic::kF32 ? direct_rows(exec, worker, rows) : rows;
  products(head, first_block, count, worker, z);
  for (size_t b = 0; b < count; ++b) {
    process(first_block + b, z.block(b), tokens);
    take_statistics(tile, part, first_block + b, z.block(b), rescale + b * kLanes);
  }
  if (soft) add_soft(tile * kTile, part, first_block, z, rescale, head, worker);
}

/// Tiles of a packed table, which go through their sums together: a run at a time the logits, which become
/// probabilities while they are near, then the sums of all.
void TableWalk::packed_span(size_t first, size_t last, size_t part, size_t first_block, size_t count, bool soft,
                            int worker) const {
  constexpr size_t kRun = kernels::kSummedRun;
  const size_t first_token = first * kTile, tokens = std::min(last * kTile, vocab) - first_token;
  float* memory = exec.scratch(worker, VocabularyWorkspace::scratch_floats(count));
  float* rescale = memory + count * kRun * kLanes;  // [count, 16]: of the sums of earlier spans
  std::fill_n(rescale, count * kLanes, 1.0f);
  std::optional<PackedWeightedSum> sum;
  if (soft) sum.emplace(exec, worker, weights.embedding.row_range(first_token, tokens), count);
  for (size_t run = 0; run < tokens; run += kRun) {
    const size_t length = std::min(kRun, tokens - run);
    const Blocks z{memory, count, length, length * kLanes};
    products(weights.head.row_range(first_token + run, length), first_block, count, worker, z);
    if (soft) sum->begin_run(run, length);
    for (size_t b = 0; b < count; ++b) {
      process(first_block + b, z.block(b), length);
      for (size_t i = 0; i < length; i += kTile) {
        float factor[kLanes];
        if (!take_statistics((first_token + run + i) / kTile, part, first_block + b, z.block(b) + i * kLanes, factor))
          continue;  // mostly
        exec.kernels().scale_lanes(z.block(b), factor, i);
        exec.kernels().scale_lanes(rescale + b * kLanes, factor, 1);
        if (soft) sum->rescale(b, run, factor);
      }
      if (soft) sum->put(b, run, z.block(b), length);
    }
  }
  if (soft) sum->add_to({soft_part(part, first_block), count, features, features * kLanes}, rescale);
}

/// Of a tile's logits z [tokens, 16] of a block, which become exp(z - max). True where the maximum rose: what was
/// summed before is to be multiplied by factor [16].
bool TableWalk::take_statistics(size_t tile, size_t part, size_t block, float* z, float* factor) const {
  const auto first = static_cast<int32_t>(tile * kTile);
  const size_t tokens = tile_tokens(tile), row = (tile * blocks + block) * kLanes;
  SoftmaxLanes& s = stats(part, block);
  if (top(block) > 0) take_top_tokens(z, tokens, first, top_lists(part, block));
  exec.kernels().softmax_tile(z, tokens, first, &s, factor, &space.tile_sum[row]);
  std::copy_n(s.max, kLanes, &space.tile_max[row]);
  return !std::all_of(factor, factor + kLanes, [](float f) { return f == 1.0f; });
}

/// Of the tokens from first_token on; `head`: their rows as logits read them.
void TableWalk::add_soft(size_t first_token, size_t part, size_t first_block, Blocks z, const float* rescale,
                         const Weight& head, int worker) const {
  const Blocks sum{soft_part(part, first_block), z.blocks, features, features * kLanes};
  const Weight embedding = weights.embedding.row_range(first_token, z.features);
  if (arithmetic == Arithmetic::kBF16) return bf16_weighted_sum(exec, worker, embedding, z, rescale, sum);
  const bool tied = weights.embedding.data == weights.head.data;
  weighted_sum_on_this_thread(exec, tied ? head : direct_rows(exec, worker, embedding), z, rescale, sum);
}

/// The reference takes a row's entropy from log-probabilities whose normaliser max + log(sum) it keeps in float32, as
/// it does the sum. Near certainty that rounding (4e-6 nats at a maximum of 75) is larger than the entropy itself, and
/// it decides together with the others' which rows a tight bound accepts. It depends on the sum only, where the terms
/// beside the largest are small and have few bits in common with it, so it is nearly always the same here.
double normaliser_rounding(float max, double sum) {
  const double log_sum = std::log(static_cast<double>(static_cast<float>(sum)));
  const float normaliser = max + static_cast<float>(log_sum);
  return double{normaliser} - max - std::log(sum);
}

/// Adds up the parts of one block in order and decides its rows. False where a sum is not finite.
bool TableWalk::merge(size_t block, int worker) const {
  SoftmaxLanes total{};
  bool finite = true;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    total.max[lane] = -std::numeric_limits<float>::infinity();
    for (size_t part = 0; part < kParts; ++part) {
      const SoftmaxLanes& s = stats(part, block);
      if (s.max[lane] > total.max[lane]) total.max[lane] = s.max[lane], total.best[lane] = s.best[lane];
    }
    for (size_t part = 0; part < kParts; ++part) {
      const SoftmaxLanes& s = stats(part, block);
      if (s.sum[lane] == 0) continue;  // a part without tokens (V < 512)
      const double shift = double{s.max[lane]} - total.max[lane];
      const double factor = std::exp(shift);
      total.sum[lane] += factor * s.sum[lane];
      total.weighted[lane] += factor * (s.weighted[lane] + s.sum[lane] * shift);
    }
    finite = finite && std::isfinite(total.sum[lane]) && total.sum[lane] > 0;
    const double log_sum = std::log(total.sum[lane]);
    RowPrediction& p = query.predictions[block * kLanes + lane];
    p.best = std::clamp(total.best[lane], 0, static_cast<int32_t>(vocab) - 1);
    p.sample = p.best;
    p.entropy = static_cast<float>(std::max(
        0.0, log_sum + normaliser_rounding(total.max[lane], total.sum[lane]) - total.weighted[lane] / total.sum[lane]));
    p.best_logprob = static_cast<float>(-log_sum);
  }
  if (!finite) return false;
  sample(block, total, worker);
  if (query.want_soft[block] != 0) merge_soft(block, total);
  if (top(block) > 0) merge_top(block, total);
  return true;
}

void TableWalk::merge_soft(size_t block, const SoftmaxLanes& total) const {
  float* out = query.soft.block(block);
  std::fill_n(out, features * kLanes, 0.0f);
  for (size_t part = 0; part < kParts; ++part) {
    float factor[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane)
      factor[lane] = static_cast<float>(std::exp(double{stats(part, block).max[lane]} - total.max[lane]) /
                                        total.sum[lane] * weights.soft_scale);
    exec.kernels().add_weighted(soft_part(part, block), factor, out, features);
  }
}

void TableWalk::merge_top(size_t block, const SoftmaxLanes& total) const {
  const size_t count = top(block);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const std::span<TopToken> out = query.top_tokens.subspan((block * kLanes + lane) * kMostTopTokens, count);
    std::ranges::fill(out, TopToken{});
    for (size_t part = 0; part < kParts; ++part)
      for (const TopToken& token : top_lists(part, block).subspan(lane * count, count)) take_top_token(token, out);
    const double log_sum = total.max[lane] + std::log(total.sum[lane]);
    for (TopToken& token : out) token.logprob = static_cast<float>(token.logprob - log_sum);
  }
}

/// Draws each row's token: the smallest whose prefix sum exceeds u times the sum of all.
void TableWalk::sample(size_t block, const SoftmaxLanes& total, int worker) const {
  size_t tile_of[kLanes];
  double rest[kLanes];  // what is left of the target inside the tile
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const double target = query.uniform[block * kLanes + lane] * total.sum[lane];
    double before = 0, factor = 1;
    float factor_max = total.max[lane];
    tile_of[lane] = 0, rest[lane] = target;
    for (size_t tile = 0; tile < tiles; ++tile) {
      const size_t row = (tile * blocks + block) * kLanes + lane;
      if (space.tile_max[row] != factor_max) {
        factor_max = space.tile_max[row];
        factor = std::exp(double{factor_max} - total.max[lane]);
      }
      const double sum = space.tile_sum[row] * factor;
      if (sum > 0) tile_of[lane] = tile, rest[lane] = target - before;  // the last one with mass, if rounding runs out
      before += sum;
      if (before > target) break;
    }
  }
  float* memory = exec.scratch(worker, kTile * kLanes);
  uint32_t open = (1u << tensor::rows_in(query.rows, block, 1)) - 1;
  while (open != 0) {  // rows that drew the same tile share one computation of its logits
    const size_t tile = tile_of[std::countr_zero(open)];
    const size_t tokens = tile_tokens(tile);
    products(weights.head.row_range(tile * kTile, tokens), block, 1, worker, {memory, 1, tokens, tokens * kLanes});
    process(block, memory, tokens);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      if ((open >> lane & 1) == 0 || tile_of[lane] != tile) continue;
      open &= ~(1u << lane);
      query.predictions[block * kLanes + lane].sample =
          static_cast<int32_t>(tile * kTile) + pick_token(memory, tokens, lane, total.max[lane], rest[lane]);
    }
  }
}

int32_t TableWalk::pick_token(const float* z, size_t tokens, size_t lane, double max, double target) const {
  double sum = 0;
  int32_t last_with_mass = 0;
  for (size_t i = 0; i < tokens; ++i) {
    const double p = std::exp(double{z[i * kLanes + lane]} - max);
    sum += p;
    if (p > 0) last_with_mass = static_cast<int32_t>(i);
    if (sum > target) return static_cast<int32_t>(i);
  }
  return last_with_mass;
}

}  // namespace

uint64_t VocabularyWorkspace::planned_bytes(const VocabularyWeights& weights, size_t blocks) {
  const uint64_t by_tile = tiles_of(weights) * kLanes * (sizeof(double) + sizeof(float));
  const uint64_t lists = kLanes * kMostTopTokens * sizeof(TopToken), soft = weights.head.cols * kLanes * sizeof(float);
  return blocks * (by_tile + kParts * (sizeof(SoftmaxLanes) + lists + soft));
}

bool vocabulary_pass(Exec& exec, const VocabularyWeights& weights, const VocabularyQuery& query,
                     VocabularyWorkspace& workspace) {
  const size_t blocks = query.hidden.blocks;
  DG_CHECK(query.inverse_temperature.size() == blocks && query.want_soft.size() == blocks, blocks, " blocks");
  DG_CHECK(query.uniform.size() == blocks * kLanes && query.predictions.size() == blocks * kLanes, blocks, " blocks");
  DG_CHECK(
      query.top.empty() || (query.top.size() == blocks && query.top_tokens.size() == blocks * kLanes * kMostTopTokens),
      blocks, " blocks");
  const TableWalk walk(exec, weights, query, workspace);
  const size_t together = blocks_together(walk.arithmetic, blocks, exec.threads());
  const size_t groups = (blocks + together - 1) / together;
  exec.run(kParts * groups, [&](size_t task, int worker) {
    const size_t first = task % groups * together;
    walk.part_of_table(task / groups, first, std::min(together, blocks - first), worker);
  });
  std::atomic<bool> finite{true};
  exec.run(blocks, [&](size_t block, int worker) {
    if (!walk.merge(block, worker)) finite.store(false, std::memory_order_relaxed);
  });
  return finite.load();
}

}  // namespace dgemma::ops
