// From the last layer to decisions: which rows go through the vocabulary pass, and what becomes of its results.
//
// The vocabulary pass itself is ops/vocabulary.h. Here its rows are collected from the canvases of a sweep, decisions
// and soft embeddings are handed to their groups, and soft embeddings that were put off are made up for. Source:
// docs/MODEL.md section 4. Tests: tests/model/reference_test.cc, tests/model/sweep_test.cc.
#include <algorithm>

#include "model/pass.h"

namespace dgemma::model {

using tensor::Blocks;
using tensor::kLanes;

namespace {
size_t top_tokens_a_row(const RowGroup& group) { return group.top_tokens.size() / group.tokens.size(); }
}  // namespace

/// The vocabulary pass over the first `count` blocks of `normed`, as inverse_temperature, want_soft, uniform and top of
/// the workspace say. Predictions, top_tokens and `soft` receive the results. False where logits are not finite.
bool Model::Pass::vocabulary_rows(size_t count) {
  space_.predictions.resize(count * kLanes);
  if (!space_.top.empty()) space_.top_tokens.resize(count * kLanes * kMostTopTokens);
  return ops::vocabulary_pass(exec_, weights_.vocabulary,
                              {space_.normed.view(count), space_.inverse_temperature, space_.uniform, space_.want_soft,
                               space_.predictions, space_.soft.view(count), space_.top, space_.top_tokens},
                              space_.vocabulary);
}

/// Computes the soft embeddings that the last steps of some canvases put off: the same walk over the table that they
/// would have taken then, hence the same bits.
void Model::Pass::settle_deferred() {
  const auto width = static_cast<size_t>(config_.width);
  size_t count = 0;
  space_.inverse_temperature.clear();
  for (const PlacedGroup& p : space_.placed) {
    if (!p.group->denoise || !p.group->conditioning->deferred) continue;
    const SelfConditioning& last = *p.group->conditioning;
    std::copy_n(last.hidden.view().data, p.blocks * width * kLanes, space_.normed.view().block(count));
    space_.inverse_temperature.insert(space_.inverse_temperature.end(), p.blocks, last.inverse_temperature);
    count += p.blocks;
  }
  if (count == 0) return;
  space_.want_soft.assign(count, 1);
  space_.uniform.assign(count * kLanes, 0.0);
  space_.top.clear();
  // The logits were finite when the step's decisions were made.
  static_cast<void>(vocabulary_rows(count));
  size_t block = 0;
  for (const PlacedGroup& p : space_.placed) {
    if (!p.group->denoise || !p.group->conditioning->deferred) continue;
    SelfConditioning& last = *p.group->conditioning;
    std::copy_n(space_.soft.view().block(block), p.blocks * width * kLanes, last.soft.view().data);
    last.deferred = false;
    block += p.blocks;
  }
}

/// The final norm and the vocabulary pass, for the rows of denoise groups.
Result<void> Model::Pass::predict() {
  const size_t count = blocks_ - first_denoise_;
  if (count == 0) return {};
  exec_.run(count, [&](size_t i, int) {
    exec_.kernels().rms_norm(space_.x.view().block(first_denoise_ + i), weights_.final_norm,
                             static_cast<float>(config_.norm_eps), space_.normed.view().block(i),
                             static_cast<size_t>(config_.width));
  });

  space_.inverse_temperature.resize(count), space_.want_soft.resize(count);
  space_.uniform.assign(count * kLanes, 0.0);
  space_.top.assign(count, 0);
  for (size_t i = 0; i < count; ++i) {
    const PlacedGroup& p = group_of(first_denoise_ + i);
    space_.top[i] = static_cast<uint8_t>(top_tokens_a_row(*p.group));
    space_.inverse_temperature[i] = static_cast<float>(1.0 / p.group->temperature);
    space_.want_soft[i] = p.group->keep_soft && !p.group->defer_soft ? 1 : 0;
    const size_t first = (first_denoise_ + i - p.first_block) * kLanes;
    const size_t rows = std::min(kLanes, p.group->tokens.size() - first);
    std::copy_n(p.group->uniform.data() + first, rows, space_.uniform.data() + i * kLanes);
  }
  for (const PlacedGroup& p : space_.placed)
    if (p.group->denoise && p.group->keep_soft) make_room(p);
  clock_.close(&SweepParts::rest);
  const bool finite = vocabulary_rows(count);
  clock_.close(&SweepParts::vocabulary);
  if (!finite)
    return Unexpected(ErrorCode::kModelFile,
                      "the model computed logits that are not finite: its weights are broken. Check the file");
  for (const PlacedGroup& p : space_.placed)
    if (p.group->denoise) hand_out(p, p.first_block - first_denoise_);
  clock_.close(&SweepParts::rest);
  return {};
}

/// Takes what hand_out() needs of memory, while nothing has been handed out: a sweep that finds none is run again.
void Model::Pass::make_room(const PlacedGroup& placed) {
  for (tensor::BlockMatrix* m : {&placed.group->conditioning->soft, &placed.group->conditioning->hidden})
    if (m->view().blocks < placed.blocks)  // both at the first step, none later
      *m = tensor::BlockMatrix(placed.blocks * kLanes, static_cast<size_t>(config_.width));
}

/// Gives a canvas its decisions and its soft embedding, or what that is made of. `first_block`: among the canvases'.
void Model::Pass::hand_out(const PlacedGroup& placed, size_t first_block) {
  const RowGroup& group = *placed.group;
  const size_t width = static_cast<size_t>(config_.width), values = placed.blocks * width * kLanes;
  std::copy_n(space_.predictions.data() + first_block * kLanes, group.tokens.size(), group.predictions.data());
  const size_t top = top_tokens_a_row(group);
  for (size_t row = 0; top > 0 && row < group.tokens.size(); ++row)
    std::copy_n(space_.top_tokens.data() + (first_block * kLanes + row) * kMostTopTokens, top,
                group.top_tokens.data() + row * top);
  SelfConditioning& next = *group.conditioning;
  next.present = group.keep_soft;
  next.deferred = group.keep_soft && group.defer_soft;
  if (!group.keep_soft) return;
  const tensor::BlockMatrix& source = next.deferred ? space_.normed : space_.soft;
  std::copy_n(source.view().block(first_block), values, (next.deferred ? next.hidden : next.soft).view().data);
  next.inverse_temperature = space_.inverse_temperature[first_block];
}

}  // namespace dgemma::model
