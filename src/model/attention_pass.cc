// The attention branch of a layer: projections, norms, rotary embedding, cache rows, what each row sees.
//
// Source: docs/MODEL.md sections 3 and 4. Where implementations disagree about the sliding keys of a canvas this
// follows transformers: the last W - 1 cached keys, the same set for every row. Tests: tests/model/reference_test.cc.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "model/pass.h"
#include "ops/product.h"

namespace dgemma::model {

using tensor::Blocks;
using tensor::kLanes;

/// Angles in float, as the reference computes them: position * frequency rounds before the cosine.
void Model::Pass::make_rope_tables(size_t block) {
  std::array<int64_t, 16> positions;
  for (size_t lane = 0; lane < kLanes; ++lane) positions[lane] = position(block, lane);
  if (positions == space_.rope_positions[block]) return;
  space_.rope_positions[block] = positions;
  const auto fill = [&](RopeTable& table, const std::vector<float>& frequency) {
    if (table.cos.size() == 0) {
      table.cos = tensor::AlignedBuffer<float>(frequency.size() * kLanes);
      table.sin = tensor::AlignedBuffer<float>(frequency.size() * kLanes);
    }
    for (size_t i = 0; i < frequency.size(); ++i)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const float angle = static_cast<float>(positions[lane]) * frequency[i];
        table.cos.data()[i * kLanes + lane] = frequency[i] == 0 ? 1.0f : std::cos(angle);
        table.sin.data()[i * kLanes + lane] = frequency[i] == 0 ? 0.0f : std::sin(angle);
      }
  };
  fill(space_.sliding_rope[block], model_.sliding_frequency_);
  fill(space_.full_rope[block], model_.full_frequency_);
}

void Model::Pass::attention_branch(size_t index) {
  const LayerWeights& w = weights_.layer[index];
  const LayerConfig& c = config_.layer[index];
  const Blocks input = prepared(space_.input, blocks_, w.k.arithmetic(), size_t(config_.width));
  const Blocks q = active(space_.q, w.q.rows), k = view(space_.k, w.k.rows), v = view(space_.v, w.k.rows);
  clock_.close(&SweepParts::rest);
  const ops::Product all[] = {{w.k, k}, {w.q, q}, {w.v, v}};  // a layer without v computes its values from k
  ops::products(exec_, {all, w.v ? size_t{3} : size_t{2}}, input, rows());
  clock_.close(&SweepParts::projections);
  exec_.run(blocks_, [&](size_t block, int) {
    if (block >= first_active_) queries(index, block);
    keys_and_values(index, block);
    store_rows(index, block);
  });
  if (q.blocks == 0) return;

  space_.keys.resize(q.blocks);
  for (size_t i = 0; i < q.blocks; ++i) space_.keys[i] = visible_keys(index, first_active_ + i);
  const Blocks attended = active(space_.attended, w.q.rows);
  clock_.close(&SweepParts::rest);
  ops::attention(exec_, {size_t(config_.heads), size_t(c.kv_heads), size_t(c.head_dim)}, q, space_.keys, attended,
                 active_rows());
  clock_.close(&SweepParts::attention);
  ops::product(exec_, w.o, attended, active(space_.branch), active_rows());
  clock_.close(&SweepParts::projections);
}

/// q = rope(RMSNorm(q)), head by head.
void Model::Pass::queries(size_t index, size_t block) {
  const LayerWeights& w = weights_.layer[index];
  const auto dim = static_cast<size_t>(config_.layer[index].head_dim);
  const RopeTable& rope = config_.layer[index].sliding ? space_.sliding_rope[block] : space_.full_rope[block];
  float* q = view(space_.q, w.q.rows).block(block);
  for (size_t head = 0; head < static_cast<size_t>(config_.heads); ++head) {
    float* values = q + head * dim * kLanes;
    exec_.kernels().rms_norm(values, w.q_norm, static_cast<float>(config_.norm_eps), values, dim);
    exec_.kernels().rope(values, rope.cos.data(), rope.sin.data(), dim / 2);
  }
}

/// v = RMSNorm(v), or of k before its own norm; k = rope(RMSNorm(k)); head by head.
void Model::Pass::keys_and_values(size_t index, size_t block) {
  const LayerWeights& w = weights_.layer[index];
  const LayerConfig& c = config_.layer[index];
  const auto eps = static_cast<float>(config_.norm_eps);
  const auto dim = static_cast<size_t>(c.head_dim);
  const RopeTable& rope = c.sliding ? space_.sliding_rope[block] : space_.full_rope[block];
  const kernels::KernelTable& kernel = exec_.kernels();
  float* k = view(space_.k, w.k.rows).block(block);
  float* v = view(space_.v, w.k.rows).block(block);
  for (size_t head = 0; head < static_cast<size_t>(c.kv_heads); ++head) {
    const size_t first = head * dim * kLanes;
    kernel.rms_norm(w.v ? v + first : k + first, nullptr, eps, v + first, dim);
    kernel.rms_norm(k + first, w.k_norm, eps, k + first, dim);
    kernel.rope(k + first, rope.cos.data(), rope.sin.data(), dim / 2);
  }
}

/// Writes the block's keys and values as rows: encode groups into the cache, denoise groups beside it.
void Model::Pass::store_rows(size_t index, size_t block) {
  const size_t width = weights_.layer[index].k.rows;
  const PlacedGroup& p = group_of(block);
  const size_t first_row = (block - p.first_block) * kLanes;
  const size_t rows = std::min(kLanes, p.group->tokens.size() - first_row);
  const float* k = view(space_.k, width).block(block);
  const float* v = view(space_.v, width).block(block);
  void* keys = canvas_kv_rows(space_.canvas_keys, index, block);
  void* values = canvas_kv_rows(space_.canvas_values, index, block);
  if (!p.group->denoise) {
    keys = p.group->cache->key_row(index, p.position + static_cast<int64_t>(first_row));
    values = p.group->cache->value_row(index, p.position + static_cast<int64_t>(first_row));
  }
  const kernels::KernelTable& kernel = exec_.kernels();
  if (model_.cache_type_ == tensor::DType::kBF16) {
    kernel.lanes_to_rows_bf16(k, width, static_cast<uint16_t*>(keys), width, rows);
    kernel.lanes_to_rows_bf16(v, width, static_cast<uint16_t*>(values), width, rows);
  } else {
    kernel.lanes_to_rows_f32(k, width, static_cast<float*>(keys), width, rows);
    kernel.lanes_to_rows_f32(v, width, static_cast<float*>(values), width, rows);
  }
}

/// Where the rows of a denoise group's block are that live for one step, in the cache's type.
void* Model::Pass::canvas_kv_rows(tensor::AlignedBuffer<std::byte>& memory, size_t index, size_t block) const {
  const size_t bytes = weights_.layer[index].k.rows * tensor::info(model_.cache_type_).block_bytes;
  return memory.data() + block * kLanes * bytes;
}

ops::BlockKeys Model::Pass::visible_keys(size_t index, size_t block) const {
  const PlacedGroup& p = group_of(block);
  const LayerConfig& c = config_.layer[index];
  const int64_t kept = p.group->cache->first_kept(index);
  const int64_t window = c.sliding ? config_.window : config_.context_length + p.position + 1;
  ops::BlockKeys runs;
  runs[0] = p.group->cache->run(index);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    // A canvas sees what lies before its first row; an encoded row what lies before and at itself.
    const int64_t end = p.group->denoise ? p.position : position(block, lane) + 1;
    const int64_t seen = p.group->denoise ? window - 1 : window;
    const int64_t first = std::max<int64_t>(0, end - seen);
    DG_CHECK(first >= kept, "key ", first, " is gone, the cache starts at ", kept);
    runs[0].low[lane] = static_cast<int32_t>(first - kept);
    runs[0].high[lane] = static_cast<int32_t>(end - kept);
  }
  if (p.group->denoise) {
    runs[1].dtype = model_.cache_type_;
    runs[1].keys = canvas_kv_rows(space_.canvas_keys, index, p.first_block);
    runs[1].values = canvas_kv_rows(space_.canvas_values, index, p.first_block);
    runs[1].row_stride = weights_.layer[index].k.rows;
    runs[1].high.fill(static_cast<int32_t>(p.group->tokens.size()));
  }
  return runs;
}

}  // namespace dgemma::model
