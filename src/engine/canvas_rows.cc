// See dgemma/canvas_rows.h. Test: tests/engine/canvas_rows_test.cc.
#include "dgemma/canvas_rows.h"

namespace dgemma {
namespace {

constexpr int kSettledSteps = 2;  // steps without change after which a token counts as settled

}  // namespace

const char* row_state_name(RowState state) {
  switch (state) {
    case RowState::kNoise:
      return "noise";
    case RowState::kDraft:
      return "draft";
    case RowState::kAccepted:
      return "accepted";
    case RowState::kSettled:
      return "settled";
  }
  return "unknown";
}

void CanvasRows::noise(std::span<const int32_t> input) {
  rows_.clear();
  for (const int32_t id : input) rows_.push_back({id, RowState::kNoise, 0});
  history_.assign(input.size(), {});
}

void CanvasRows::update(const CanvasDraft& draft) {
  if (draft.step == 0 || rows_.size() != draft.best.size()) {
    rows_.assign(draft.best.size(), {});
    history_.assign(draft.best.size(), {});
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    History& history = history_[i];
    const int32_t best = draft.best[i];
    const float entropy = draft.entropy[i];
    history.unchanged = history.best == best ? history.unchanged + 1 : 0;
    history.best = best;
    if (draft.last || (draft.accepted[i] && history.unchanged >= kSettledSteps)) {
      rows_[i] = {best, RowState::kSettled, entropy};
    } else if (draft.accepted[i]) {
      rows_[i] = {draft.next[i], RowState::kAccepted, entropy};
    } else if (entropy < kNoiseEntropy) {
      rows_[i] = {best, RowState::kDraft, entropy};
    } else {
      rows_[i] = {draft.next[i], RowState::kNoise, entropy};
    }
  }
}

}  // namespace dgemma
