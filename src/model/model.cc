// See model.h. The parts of a pass that are the same for every layer kind; attention is in attention_pass.cc, what
// happens between the last layer and the decisions in vocabulary_rows.cc.
#include "model/model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/philox.h"
#include "model/pass.h"
#include "ops/attention.h"
#include "ops/packed_vocabulary.h"
#include "ops/product.h"

namespace dgemma::model {

using tensor::Blocks;
using tensor::kLanes;

namespace {

/// Inverse frequencies of `pairs` rotary pairs, in the reference's float arithmetic.
std::vector<float> inverse_frequencies(const RopeConfig& rope, int head_dim, std::span<const float> divisors) {
  const int pairs = head_dim / 2;
  const int turning = static_cast<int>(rope.partial_rotary_factor * pairs);
  std::vector<float> frequency(static_cast<size_t>(pairs), 0.0f);
  for (int i = 0; i < turning; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const double power = std::pow(double{static_cast<float>(rope.theta)}, double{exponent});
    frequency[static_cast<size_t>(i)] = 1.0f / static_cast<float>(power);
    frequency[static_cast<size_t>(i)] /= static_cast<float>(rope.factor);
  }
  for (size_t i = 0; i < divisors.size() && i < frequency.size(); ++i) frequency[i] /= divisors[i];
  return frequency;
}

int head_dim_of(const Config& config, bool sliding) {
  for (const LayerConfig& layer : config.layer)
    if (layer.sliding == sliding) return layer.head_dim;
  return 0;
}

size_t largest(const Config& config, size_t (*size)(const Config&, const LayerConfig&)) {
  size_t most = 0;
  for (const LayerConfig& layer : config.layer) most = std::max(most, size(config, layer));
  return most;
}
size_t query_width(const Config& c) {
  return largest(c, [](const Config& f, const LayerConfig& l) { return size_t(f.heads) * size_t(l.head_dim); });
}
size_t key_width(const Config& c) {
  return largest(c, [](const Config&, const LayerConfig& l) { return size_t(l.kv_heads) * size_t(l.head_dim); });
}

// Floats of a worker's scratch by row of an expert: gate and up of the features of one task, or the outputs of one. How
// many rows an expert gets changes from step to step; all of them at most.
constexpr size_t kExpertScratch = std::max(2 * tensor::kFold, ops::kExpertOutputs);
/// Floats of a worker's scratch that experts take of `rows` rows.
size_t expert_scratch(const Config& c, size_t rows) {
  return std::max(rows * kExpertScratch, ops::kExpertRows * size_t(std::max(2 * c.expert_width, c.width)));
}

/// The widest that a matrix of prepared activations becomes.
size_t prepared_width(size_t features) {
  return std::max(features, ops::prepared_features(tensor::Arithmetic::kInt8, features));
}

/// Grows every matrix to `blocks` lane blocks; planned_bytes counts what is taken here and what grows with it.
void reserve(Workspace& w, ops::Exec& exec, const Config& c, tensor::DType cache_type, size_t blocks) {
  if (blocks <= w.blocks) return;
  const size_t rows = blocks * kLanes, width = size_t(c.width);
  exec.even_out(expert_scratch(c, rows));
  w.blocks = blocks;
  for (tensor::BlockMatrix* m : {&w.x, &w.normed, &w.branch, &w.experts, &w.soft}) *m = {rows, width};
  w.q = {rows, query_width(c)}, w.attended = {rows, query_width(c)};
  w.k = {rows, key_width(c)}, w.v = {rows, key_width(c)};
  w.input = {rows, prepared_width(width)}, w.routed = {rows, prepared_width(width)};
  w.hidden = {rows, prepared_width(size_t(c.dense_width))};
  w.scores = {rows, size_t(c.experts)};
  for (tensor::AlignedBuffer<std::byte>* kv : {&w.canvas_keys, &w.canvas_values})
    *kv = tensor::AlignedBuffer<std::byte>(rows * key_width(c) * tensor::info(cache_type).block_bytes);
  w.sliding_rope.resize(blocks), w.full_rope.resize(blocks);
  w.conditioned.reserve(blocks);
  w.rope_positions.assign(blocks, {});
  for (auto& positions : w.rope_positions) positions.fill(-1);
}

/// Of the workspace's own matrices and lists, and of what the sweep's canvases keep (SelfConditioning: soft, hidden).
uint64_t planned_bytes(const Config& c, tensor::DType cache_type, size_t blocks) {
  const size_t width = size_t(c.width), rope_dims = size_t(head_dim_of(c, true)) + size_t(head_dim_of(c, false));
  const uint64_t floats = (5 + 2) * width + 2 * query_width(c) + 2 * key_width(c) + 2 * prepared_width(width) +
                          prepared_width(size_t(c.dense_width)) + size_t(c.experts) + rope_dims;
  const uint64_t kv = 2 * key_width(c) * tensor::info(cache_type).block_bytes;
  const uint64_t row_lists = 2 * 2 * sizeof(uint32_t) + sizeof(double) + sizeof(ops::RowPrediction) +  // grow by twice
                             kMostTopTokens * sizeof(TopToken);
  const uint64_t block_lists =
      sizeof(ops::BlockKeys) + 2 * sizeof(RopeTable) + sizeof(std::array<int64_t, 16>) + 8 * sizeof(size_t);
  return blocks * (kLanes * (floats * sizeof(float) + kv + row_lists) + block_lists);
}

/// Of what Exec keeps: each worker's scratch and panel, as large as the operation needs that needs most, and what all
/// share, the rows of the vocabulary pass as they are multiplied.
uint64_t planned_exec_bytes(const Config& c, size_t blocks, int threads) {
  constexpr size_t kTileFloats = size_t{64} << 10;  // logits of tiles of the vocabulary
  const size_t width = size_t(c.width), widest = std::max({width, size_t(c.dense_width), query_width(c)});
  const size_t together = std::min(blocks, ops::VocabularyWorkspace::kMostBlocksTogether);
  ops::AttentionScratch attention;
  for (const LayerConfig& layer : c.layer) {
    const ops::AttentionScratch one =
        ops::attention_scratch({size_t(c.heads), size_t(layer.kv_heads), size_t(layer.head_dim)}, blocks);
    attention = {std::max(attention.floats, one.floats), std::max(attention.weight_floats, one.weight_floats)};
  }
  const size_t scratch = std::max({attention.floats, expert_scratch(c, blocks * kLanes), widest * kLanes, kTileFloats,
                                   ops::VocabularyWorkspace::scratch_floats(together)});
  const size_t tile = 64 * width + 2 * width + kTileFloats / 4;            // a tile of the vocabulary, decoded
  const size_t rows = 26 * widest;                                         // 24 rows decoded, or 48 rounded
  const size_t summed = ops::PackedWeightedSum::scratch_floats(together);  // probabilities of the vocabulary, quantised
  const size_t panel = std::max({tile, rows, summed, attention.weight_floats});
  return sizeof(float) * (size_t(threads) * (scratch + panel) + blocks * kLanes * prepared_width(width));
}

}  // namespace

std::unique_ptr<Workspace, void (*)(Workspace*)> make_workspace() {
  return {new Workspace, [](Workspace* w) { delete w; }};
}

Model::Model(Config config, Weights weights, tensor::DType cache_type)
    : config_(std::move(config)), weights_(std::move(weights)), cache_type_(cache_type) {
  sliding_frequency_ = inverse_frequencies(config_.sliding_rope, head_dim_of(config_, true), {});
  full_frequency_ = inverse_frequencies(config_.full_rope, head_dim_of(config_, false), weights_.rope_divisors);
}

Result<void> Model::sweep(ops::Exec& exec, Workspace& workspace, std::span<const RowGroup> groups, const LayerTap& tap,
                          SweepParts* times, ExpertRouting* routing) const {
  Pass pass(*this, exec, workspace, groups, times, routing);
  DG_TRY(pass.run(tap));
  exec.even_out();
  for (const RowGroup& group : groups)
    if (!group.denoise) group.cache->advance(static_cast<int64_t>(group.tokens.size()));
  return {};
}

uint64_t Model::workspace_bytes(int rows, int threads) const {
  const size_t blocks = tensor::blocks_for(static_cast<size_t>(rows));
  return planned_bytes(config_, cache_type_, blocks) + planned_exec_bytes(config_, blocks, threads) +
         ops::ExpertWorkspace::planned_bytes(weights_.layer.front().experts, blocks * kLanes) +
         ops::VocabularyWorkspace::planned_bytes(weights_.vocabulary, blocks);
}

Model::Pass::Pass(const Model& m, ops::Exec& e, Workspace& w, std::span<const RowGroup> groups, SweepParts* times,
                  ExpertRouting* routing)
    : model_(m), config_(m.config_), weights_(m.weights_), exec_(e), space_(w), routing_(routing), clock_(times) {
  if (routing_ != nullptr) routing_->touched.assign(weights_.layer.size(), 0);
  space_.placed.clear(), space_.group_of_block.clear(), space_.rows.clear(), space_.denoise_rows.clear();
  for (const RowGroup& group : groups)
    if (!group.denoise) place(group);
  first_denoise_ = blocks_;
  for (const RowGroup& group : groups)
    if (group.denoise) place(group);
  reserve(space_, exec_, config_, m.cache_type_, blocks_);
  for (const PlacedGroup& p : space_.placed) {
    if (p.group->denoise) continue;
    const int64_t ahead = p.position - p.group->cache->length();
    p.group->cache->reserve(ahead + static_cast<int64_t>(p.group->tokens.size()));
  }
}

/// Gives a group the next blocks. Encode groups of the same cache that were placed before it are its past.
void Model::Pass::place(const RowGroup& group) {
  DG_CHECK(!group.tokens.empty() && group.cache != nullptr, "a group needs rows and a cache");
  int64_t position = group.cache->length();
  for (const PlacedGroup& before : space_.placed)
    if (before.group->cache == group.cache && !before.group->denoise)
      position += static_cast<int64_t>(before.group->tokens.size());
  const size_t count = tensor::blocks_for(group.tokens.size());
  space_.group_of_block.insert(space_.group_of_block.end(), count, space_.placed.size());
  space_.placed.push_back({&group, blocks_, count, position});
  for (size_t row = 0; row < group.tokens.size(); ++row) {
    space_.rows.push_back(static_cast<uint32_t>(blocks_ * kLanes + row));
    if (group.denoise) space_.denoise_rows.push_back(static_cast<uint32_t>((blocks_ - first_denoise_) * kLanes + row));
  }
  if (!group.denoise) only_caches_ = only_caches_ && group.only_cache;
  blocks_ += count;
}

int64_t Model::Pass::position(size_t block, size_t lane) const {
  const PlacedGroup& p = group_of(block);
  const size_t row = std::min((block - p.first_block) * kLanes + lane, p.group->tokens.size() - 1);
  return p.position + static_cast<int64_t>(row);
}

bool Model::Pass::cancelled() const {
  return std::all_of(space_.placed.begin(), space_.placed.end(), [](const PlacedGroup& p) {
    return p.group->cancel != nullptr && p.group->cancel->load(std::memory_order_relaxed);
  });
}

Result<void> Model::Pass::run(const LayerTap& tap) {
  if (cancelled()) return Unexpected(ErrorCode::kCancelled, "cancelled");
  embed();
  clock_.close(&SweepParts::rest);
  settle_deferred();
  clock_.close(&SweepParts::vocabulary);
  condition();
  clock_.close(&SweepParts::dense);
  exec_.run(blocks_, [&](size_t block, int worker) {
    make_rope_tables(block);
    open_layer(0, block, worker);
  });
  for (size_t index = 0; index < weights_.layer.size(); ++index) {
    if (cancelled()) return Unexpected(ErrorCode::kCancelled, "cancelled");
    layer(index);
    if (tap) tap(index, view(space_.x));
  }
  if (cancelled()) return Unexpected(ErrorCode::kCancelled, "cancelled");
  return predict();
}

/// x = embed[token] * sqrt(D)
void Model::Pass::embed() {
  const tensor::Weight& table = weights_.vocabulary.embedding;
  const float scale = std::sqrt(static_cast<float>(config_.width));
  const auto width = static_cast<size_t>(config_.width);
  exec_.run(blocks_, [&](size_t block, int worker) {
    const PlacedGroup& p = group_of(block);
    const size_t first = (block - p.first_block) * kLanes;
    const size_t rows = std::min(kLanes, p.group->tokens.size() - first);
    float* x = space_.x.view().block(block);
    float* decoded = table.is_direct() ? nullptr : exec_.scratch(worker, kLanes * width);
    const float* values[kLanes] = {};
    const uint16_t* halves[kLanes] = {};
    for (size_t lane = 0; lane < rows; ++lane) {
      const int32_t id = p.group->tokens[first + lane];
      DG_CHECK(id >= 0 && id < config_.vocab, "token id ", id);
      const auto row = static_cast<size_t>(id);
      if (table.dtype == tensor::DType::kBF16) {
        halves[lane] = table.bf16(row);
      } else if (table.dtype == tensor::DType::kF32) {
        values[lane] = table.f32(row);
      } else {
        ops::decode_row(table, row, decoded + lane * width);
        values[lane] = decoded + lane * width;
      }
    }
    if (table.dtype == tensor::DType::kBF16)
      exec_.kernels().rows_to_lanes_bf16(halves, scale, x, width);
    else
      exec_.kernels().rows_to_lanes_f32(values, scale, x, width);
  });
}

/// Denoise groups: x = RMSNorm(x + MLP(soft)). A canvas's first step has soft = 0, for which the MLP gives exactly 0,
/// so it is left out there.
void Model::Pass::condition() {
  const SelfConditioningWeights& w = weights_.self_conditioning;
  const auto eps = static_cast<float>(config_.norm_eps);
  const auto width = static_cast<size_t>(config_.width);
  constexpr size_t kNone = SIZE_MAX;
  std::vector<size_t>&conditioned = space_.conditioned, &condition_of = space_.condition_of;
  conditioned.clear(), condition_of.clear();
  for (size_t block = first_denoise_; block < blocks_; ++block) {
    const bool present = group_of(block).group->conditioning->present;
    condition_of.push_back(present ? conditioned.size() : kNone);
    if (present) conditioned.push_back(block);
  }
  const size_t count = conditioned.size();
  const Blocks out = space_.branch.view(count);
  if (count > 0) {
    const Blocks input = prepared(space_.input, count, w.gate.arithmetic(), width);
    const Blocks hidden = prepared(space_.hidden, count, w.down.arithmetic(), w.gate.rows);
    exec_.run(count, [&](size_t i, int worker) {
      const PlacedGroup& p = group_of(conditioned[i]);
      const float* soft = p.group->conditioning->soft.view().block(conditioned[i] - p.first_block);
      ops::prepare_norm(exec_, worker, w.gate.arithmetic(), soft, w.pre_norm, eps, width, input.block(i));
    });
    ops::gated_product(exec_, w.gate, w.up, input, w.down.arithmetic(), hidden);
    ops::prepared_product(exec_, w.down, hidden, out);
  }
  exec_.run(blocks_ - first_denoise_, [&](size_t i, int) {
    float* x = space_.x.view().block(first_denoise_ + i);
    if (condition_of[i] != kNone) exec_.kernels().add_scaled(x, out.block(condition_of[i]), 1.0f, width);
    exec_.kernels().rms_norm(x, nullptr, eps, x, width);
  });
}

void Model::Pass::layer(size_t index) {
  const LayerWeights& w = weights_.layer[index];
  // Behind the last layer's keys and values nothing of an encode group is used, unless somebody looks at it.
  first_active_ = index + 1 == weights_.layer.size() && only_caches_ ? first_denoise_ : 0;

  attention_branch(index);  // branch = o_proj attention(input)
  if (active_blocks() == 0) return;
  exec_.run(active_blocks(), [&](size_t b, int worker) { after_attention(w, b, worker); });
  feedforward_branches(index);  // branch = dense MLP(input), expert_space = experts(routed)
  exec_.run(active_blocks(), [&](size_t b, int worker) { after_feedforward(index, b, worker); });
  clock_.close(&SweepParts::rest);
}

/// input = RMSNorm(x), which the layer's projections multiply.
void Model::Pass::open_layer(size_t index, size_t block, int worker) {
  const LayerWeights& w = weights_.layer[index];
  const auto width = static_cast<size_t>(config_.width);
  const Blocks input = prepared(space_.input, blocks_, w.k.arithmetic(), width);
  ops::prepare_norm(exec_, worker, w.k.arithmetic(), view(space_.x).block(block), w.input_norm,
                    static_cast<float>(config_.norm_eps), width, input.block(block));
}

/// Of an active block: x += RMSNorm(branch), then what router, dense MLP and experts read, each with its own norm of x.
void Model::Pass::after_attention(const LayerWeights& w, size_t b, int worker) {
  const auto eps = static_cast<float>(config_.norm_eps);
  const auto width = static_cast<size_t>(config_.width);
  const kernels::KernelTable& kernel = exec_.kernels();
  float *x = active(space_.x).block(b), *branch = active(space_.branch).block(b);
  kernel.rms_norm(branch, w.post_attention_norm, eps, branch, width);
  kernel.add_scaled(x, branch, 1.0f, width);
  kernel.rms_norm(x, w.router_scale, eps, active(space_.normed).block(b), width);
  ops::prepare_norm(exec_, worker, w.gate.arithmetic(), x, w.pre_feedforward_norm, eps, width,
                    prepared(space_.input, active_blocks(), w.gate.arithmetic(), width).block(b));
  ops::prepare_norm(exec_, worker, w.experts.arithmetic(), x, w.pre_feedforward_norm_2, eps, width,
                    prepared(space_.routed, active_blocks(), w.experts.arithmetic(), width).block(b));
}

/// Scores of these active rows that depend on nothing but layer and position: independent choices among all experts.
void Model::Pass::draw_scores(size_t index, std::span<const uint32_t> rows, Blocks scores) {
  exec_.run(tensor::blocks_for(rows.size()), [&](size_t task, int) {
    for (const uint32_t row : rows.subspan(task * kLanes, std::min(kLanes, rows.size() - task * kLanes))) {
      const auto at = static_cast<uint32_t>(position(first_active_ + row / kLanes, row % kLanes));
      std::array<uint32_t, 4> bits{};
      for (size_t e = 0; e < scores.features; ++e) {
        if (e % 4 == 0) bits = base::philox4x32_10({at, static_cast<uint32_t>(e), static_cast<uint32_t>(index), 0}, {});
        scores.at(row, e) = static_cast<float>(bits[e % 4]) * 0x1p-32f;
      }
    }
  });
}

void Model::Pass::feedforward_branches(size_t index) {
  const LayerWeights& w = weights_.layer[index];
  const auto width = static_cast<size_t>(config_.width);
  const size_t count = active_blocks();
  const Blocks hidden = prepared(space_.hidden, count, w.down.arithmetic(), w.gate.rows);
  const Blocks scores = active(space_.scores);
  const std::span<const uint32_t> rows = first_active_ == 0 ? space_.rows : space_.denoise_rows;

  clock_.close(&SweepParts::rest);
  ops::gated_product(exec_, w.gate, w.up, prepared(space_.input, count, w.gate.arithmetic(), width),
                     w.down.arithmetic(), hidden, active_rows());
  ops::prepared_product(exec_, w.down, hidden, active(space_.branch), active_rows());
  clock_.close(&SweepParts::dense);

  ops::product(exec_, w.router, active(space_.normed), scores, active_rows());
  if (routing_ != nullptr && routing_->even) draw_scores(index, rows, scores);
  ops::choose_experts(exec_, scores, rows, w.per_expert_scale, w.experts.used, space_.assignment);
  clock_.close(&SweepParts::rest);
  ops::experts(exec_, w.experts, prepared(space_.routed, count, w.experts.arithmetic(), width), rows, space_.assignment,
               space_.expert_space);
  if (routing_ != nullptr) routing_->touched[index] = static_cast<int>(space_.expert_space.slots.by_size.size());
  clock_.close(&SweepParts::experts);
}

/// Of an active block: x = (x + RMSNorm(RMSNorm(dense) + RMSNorm(experts))) times the layer's scalar, then the next
/// layer's input.
void Model::Pass::after_feedforward(size_t index, size_t b, int worker) {
  const LayerWeights& w = weights_.layer[index];
  const auto eps = static_cast<float>(config_.norm_eps);
  const auto width = static_cast<size_t>(config_.width);
  const kernels::KernelTable& kernel = exec_.kernels();
  const size_t block = first_active_ + b;
  float *branch = active(space_.branch).block(b), *mixed = active(space_.experts).block(b);
  ops::sum_of_experts(exec_, worker, space_.assignment, w.experts.used, space_.expert_space, b, mixed);
  kernel.rms_norm(branch, w.post_feedforward_norm_1, eps, branch, width);
  kernel.rms_norm(mixed, w.post_feedforward_norm_2, eps, mixed, width);
  kernel.add_scaled(branch, mixed, 1.0f, width);
  kernel.rms_norm(branch, w.post_feedforward_norm, eps, branch, width);
  kernel.add_scaled(view(space_.x).block(block), branch, block >= first_denoise_ ? w.decoder_scalar : w.encoder_scalar,
                    width);
  if (index + 1 < weights_.layer.size()) open_layer(index + 1, block, worker);
}

}  // namespace dgemma::model
