// Drafts of a canvas written as short tables, for the tests of the display.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/canvas_view.h"

namespace dgemma::cli {

/// Texts by id: what is not in the table is "<id>".
inline TokenTexts texts(std::map<int32_t, std::string> table) {
  const auto piece = [table](int32_t id) {
    const auto found = table.find(id);
    return found != table.end() ? found->second : std::string("<").append(std::to_string(id)).append(">");
  };
  return {piece, {}};
}

/// A draft that owns its rows. A row: best token, entropy, accepted; what the next step sees is the best token where
/// accepted, otherwise `noise`.
struct ScriptedDraft {
  struct Row {
    int32_t best;
    float entropy;
    bool accepted;
    int32_t noise = 0;
  };
  ScriptedDraft(int step, const std::vector<Row>& rows, bool last = false) {
    for (const Row& row : rows) {
      best.push_back(row.best);
      next.push_back(row.accepted ? row.best : row.noise);
      input.push_back(row.noise);
      entropy.push_back(row.entropy);
      accepted.push_back(row.accepted);
      logprob.push_back(0);
      draft.mean_entropy += static_cast<double>(row.entropy) / static_cast<double>(rows.size());
    }
    draft.step = step;
    draft.max_steps = 48;
    draft.last = last;
  }
  const CanvasDraft& event() {
    draft.input = input;
    draft.best = draft.sample = best;
    draft.next = next;
    draft.entropy = entropy;
    draft.accepted = accepted;
    draft.best_logprob = logprob;
    return draft;
  }
  std::vector<int32_t> best, next, input;
  std::vector<float> entropy, logprob;
  std::vector<uint8_t> accepted;
  CanvasDraft draft;
};

inline void start(CanvasView& view, const std::vector<int32_t>& eos_ids = {}) {
  const std::vector<int32_t> prompt = {2, 5};
  Started started;
  started.prompt_ids = prompt;
  started.eos_ids = eos_ids;
  view.start(started);
}

}  // namespace dgemma::cli
