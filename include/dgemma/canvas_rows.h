// CanvasRows: what a display shows for each row of a canvas, and how sure it is; for terminals and pages alike.
//
// One definition of the four states for all displays. Test: tests/engine/canvas_rows_test.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dgemma/events.h"

namespace dgemma {

/// How far a row has come. The names on displays: noise, draft, accepted, settled.
enum class RowState : uint8_t {
  kNoise,     ///< not accepted and far from sure: shown is the random token that the next step sees
  kDraft,     ///< not accepted: shown is the most probable token
  kAccepted,  ///< accepted in this step: shown is the sample that the next step sees
  kSettled,   ///< accepted, and the most probable token is the same for several steps; or the canvas's last step
};
const char* row_state_name(RowState state);

struct CanvasRow {
  int32_t id = 0;  ///< the token to show
  RowState state = RowState::kNoise;
  float entropy = 0;  ///< nats; 0 before the first step
};

/// Above this many nats the best token is one of e^2 = 7 or more that are equally likely: the row is still noise.
constexpr float kNoiseEntropy = 2.0F;

class CanvasRows {
 public:
  /// The canvas before its first step: what that step sees.
  void noise(std::span<const int32_t> input);
  /// The canvas after a step.
  void update(const CanvasDraft& draft);
  void clear() { rows_.clear(), history_.clear(); }

  std::span<const CanvasRow> rows() const { return rows_; }  ///< [L], or empty
  bool empty() const { return rows_.empty(); }

 private:
  struct History {
    int32_t best = -1;
    int unchanged = 0;  ///< steps since `best` changed
  };
  std::vector<CanvasRow> rows_;   // [L]
  std::vector<History> history_;  // [L]
};

}  // namespace dgemma
