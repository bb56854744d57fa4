// See kv_cache.h.
#include "model/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace dgemma::model {

using tensor::DType;

namespace {

// How far a conversation can go back on sliding layers without encoding its prompt again: four canvases, so that an
// answer of usual length can be rendered anew in the next turn.
int64_t margin(const Config& config) { return int64_t{4} * config.canvas_length; }

// Rows before a position that a sliding layer needs.
int64_t needed_before(const Config& config) { return std::max(0, config.window - 1); }

uint64_t row_bytes(const LayerConfig& layer, DType type) {
  return static_cast<uint64_t>(layer.kv_heads) * static_cast<uint64_t>(layer.head_dim) * tensor::info(type).block_bytes;
}

// Rows that a layer takes at first and by which it grows at least.
constexpr int64_t kGrain = 64;

/// Rows of a sliding layer at most. Where a chunk finds no room as many tiles of the oldest rows go, which leaves the
/// margin before what is new, or what the chunk needs where it is longer.
int64_t sliding_rows(const Config& config) {
  return needed_before(config) + std::max<int64_t>(margin(config), kPromptChunk) + ops::kKeyTile;
}

}  // namespace

KvCache::KvCache(const Config& config, DType type) : type_(type), needed_before_(needed_before(config)) {
  DG_CHECK(type == DType::kF32 || type == DType::kBF16, tensor::info(type).name);
  for (const LayerConfig& layer : config.layer) {
    Layer l;
    l.row_bytes = static_cast<size_t>(row_bytes(layer, type));
    if (layer.sliding) l.most = sliding_rows(config);
    layers_.push_back(std::move(l));
  }
}

void KvCache::reserve(int64_t count) {
  for (Layer& layer : layers_) make_room(layer, count);
}

void KvCache::make_room(Layer& layer, int64_t count) {
  const int64_t used = length_ - layer.first;
  if (used + count <= layer.capacity) return;
  // In whole tiles, so that row 0 stays at the start of one.
  const int64_t surplus = (used + count - layer.most + ops::kKeyTile - 1) / ops::kKeyTile * ops::kKeyTile;
  const int64_t droppable = (used - needed_before_) / ops::kKeyTile * ops::kKeyTile;
  const int64_t kept = used - std::max<int64_t>(0, std::min(surplus, droppable));
  const int64_t needed = kept + count;
  const size_t skip = static_cast<size_t>(used - kept) * layer.row_bytes;
  const size_t bytes = static_cast<size_t>(kept) * layer.row_bytes;
  if (needed <= layer.capacity) {
    for (const auto* rows : {&layer.keys, &layer.values}) std::memmove(rows->data(), rows->data() + skip, bytes);
  } else {
    const int64_t capacity = grown(layer, needed);
    const size_t size = static_cast<size_t>(capacity) * layer.row_bytes;
    tensor::AlignedBuffer<std::byte> keys(size), values(size);  // both first: either may find no memory
    std::copy_n(layer.keys.data() + skip, bytes, keys.data());
    std::copy_n(layer.values.data() + skip, bytes, values.data());
    layer.keys = std::move(keys), layer.values = std::move(values), layer.capacity = capacity;
  }
  layer.first = length_ - kept;
}

/// The next capacity of a layer that needs so many rows: half as much again, no more than it will ever use.
int64_t KvCache::grown(const Layer& layer, int64_t needed) const {
  return std::max(needed, std::min({planned_, layer.most, layer.capacity + layer.capacity / 2 + kGrain}));
}

size_t KvCache::row_offset(size_t layer, int64_t position) const {
  const Layer& l = layers_[layer];
  DG_CHECK(position >= l.first && position < l.first + l.capacity, "position ", position, " from ", l.first);
  return static_cast<size_t>(position - l.first) * l.row_bytes;
}

void* KvCache::key_row(size_t layer, int64_t position) {
  return layers_[layer].keys.data() + row_offset(layer, position);
}

void* KvCache::value_row(size_t layer, int64_t position) {
  return layers_[layer].values.data() + row_offset(layer, position);
}

ops::KeyRun KvCache::run(size_t layer) const {
  const Layer& l = layers_[layer];
  ops::KeyRun run;
  run.dtype = type_, run.row_stride = l.row_bytes / tensor::info(type_).block_bytes;
  run.keys = l.keys.data(), run.values = l.values.data();
  return run;
}

/// Whether the sliding layers still have the rows that the tokens before `length` need.
bool KvCache::can_go_back_to(int64_t length) const {
  const int64_t needed_from = std::max<int64_t>(0, length - needed_before_);
  return std::all_of(layers_.begin(), layers_.end(), [&](const Layer& layer) { return layer.first <= needed_from; });
}

int64_t KvCache::truncate(int64_t length) {
  DG_CHECK(length >= 0 && length <= length_, length, " of ", length_);
  if (!can_go_back_to(length)) length = 0;
  length_ = length;
  if (length == 0)
    for (Layer& layer : layers_) layer.first = 0;
  return length;
}

int64_t KvCache::copy_beginning(const KvCache& from, int64_t length) {
  DG_CHECK(length_ == 0 && type_ == from.type_ && layers_.size() == from.layers_.size(), "of another model");
  DG_CHECK(length >= 0 && length <= from.length_, length, " of ", from.length_);
  if (!from.can_go_back_to(length)) return 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& source = from.layers_[i];
    const int64_t rows = length - source.first;
    make_room(layers_[i], rows);
    const size_t bytes = static_cast<size_t>(rows) * source.row_bytes;
    std::copy_n(source.keys.data(), bytes, layers_[i].keys.data());
    std::copy_n(source.values.data(), bytes, layers_[i].values.data());
    layers_[i].first = source.first;
  }
  length_ = length;
  return length;
}

uint64_t KvCache::planned_bytes(const Config& config, DType type, int64_t positions) {
  uint64_t total = 0;
  for (const LayerConfig& layer : config.layer) {
    int64_t rows = positions;
    if (layer.sliding) rows = std::min(rows, sliding_rows(config));
    total += 2 * row_bytes(layer, type) * static_cast<uint64_t>(rows);
  }
  return total;
}

uint64_t KvCache::bytes() const {
  uint64_t total = 0;
  for (const Layer& layer : layers_) total += layer.keys.size() + layer.values.size();
  return total;
}

}  // namespace dgemma::model
