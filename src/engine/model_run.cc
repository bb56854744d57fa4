// See model_run.h.
#include "engine/model_run.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/memory.h"
#include "engine/broken_weights.h"
#include "ops/product.h"

namespace dgemma::engine {

using tensor::kLanes;

ModelRun::ModelRun(const LoadedModel& loaded, bool even_routing)
    : checkpoint_(loaded.checkpoint),
      model_(loaded.model),
      exec_(*loaded.settings.table, loaded.settings.threads),
      workspace_(model::make_workspace()),
      decoded_(1, static_cast<size_t>(loaded.model.config().width)),
      routing_{even_routing} {}

model::KvCache ModelRun::new_cache(int64_t positions) const {
  model::KvCache cache = model_.new_cache();
  cache.plan(positions);
  return cache;
}

Result<void> ModelRun::plan_memory(int64_t positions) const {
  const int rows =
      std::max(static_cast<int>(std::min<int64_t>(positions, model::kPromptChunk)), config().canvas_length);
  const uint64_t cache = model_.cache_bytes(positions), work = model_.workspace_bytes(rows, exec_.threads());
  const uint64_t available = base::available_memory_bytes();
  if (cache + work <= available) return {};
  return Unexpected(ErrorCode::kOutOfMemory,
                    base::concat("context: the cache of ", positions, " tokens takes ", base::bytes_text(cache),
                                 " of memory and the work ", base::bytes_text(work), ", ", base::bytes_text(available),
                                 " are available. Ask for fewer tokens"));
}

Result<void> ModelRun::sweep(const model::RowGroup& group, SweepParts* times, tensor::BlockMatrix* hidden) {
  const auto context = static_cast<int>(group.cache->length());
  Result<void> done = hidden == nullptr ? model_.sweep(exec_, *workspace_, {&group, 1}, {}, times, &routing_)
                                        : sweep_to(group, times, *hidden);
  if (!done && done.error().code == ErrorCode::kModelFile) return broken_weights(checkpoint_);
  if (done && record_ != nullptr)
    record_->push_back({static_cast<int>(group.tokens.size()), context, routing_.touched});
  return done;
}

Result<void> ModelRun::sweep_to(const model::RowGroup& group, SweepParts* times, tensor::BlockMatrix& hidden) {
  const size_t last = model_.weights().layer.size() - 1, width = static_cast<size_t>(config().width);
  if (hidden.view().blocks != tensor::blocks_for(group.tokens.size()) || hidden.view().features != width)
    hidden = tensor::BlockMatrix(group.tokens.size(), width);
  const tensor::Blocks out = hidden.view();
  const auto keep_last = [&](size_t layer, tensor::ConstBlocks x) {
    if (layer == last) std::copy_n(x.data, out.blocks * width * kLanes, out.data);
  };
  DG_TRY(model_.sweep(exec_, *workspace_, {&group, 1}, keep_last, times, &routing_));
  ops::rms_norm(exec_, out, model_.weights().final_norm, static_cast<float>(config().norm_eps), out);
  return {};
}

Result<void> ModelRun::encode(model::KvCache& cache, std::span<const int32_t> tokens) {
  constexpr size_t kChunk = model::kPromptChunk;
  for (size_t first = 0; first < tokens.size(); first += kChunk) {
    model::RowGroup group;
    group.cache = &cache, group.tokens = tokens.subspan(first, std::min(kChunk, tokens.size() - first));
    group.only_cache = true;
    DG_TRY(sweep(group, nullptr, nullptr));
  }
  return {};
}

Result<void> ModelRun::denoise(const model::RowGroup& group, SweepParts* times, tensor::BlockMatrix* hidden) {
  return sweep(group, times, hidden);
}

Result<ops::RowPrediction> ModelRun::decode(model::KvCache& cache, int32_t token) {
  model::RowGroup group;
  group.cache = &cache, group.tokens = {&token, 1};
  DG_TRY(sweep(group, nullptr, &decoded_));
  const float inverse_temperature = 1;
  const uint8_t no_soft = 0;
  const std::array<double, kLanes> uniform{};
  std::array<ops::RowPrediction, kLanes> predictions;
  ops::VocabularyQuery query{decoded_.view(), {&inverse_temperature, 1}, uniform, {&no_soft, 1}, predictions, {}};
  query.rows = 1;
  if (!ops::vocabulary_pass(exec_, vocabulary(), query, vocabulary_space_)) return broken_weights(checkpoint_);
  return predictions[0];
}

}  // namespace dgemma::engine
