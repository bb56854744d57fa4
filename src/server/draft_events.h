// DraftEvents: what only diffusion can show, as JSON: the start, each canvas's noise, each step's changed
// rows, each finished canvas.
//
// Each object rides in the field "diffusion" of a chunk that is otherwise empty; docs/SERVER.md, "Drafts", lists the
// fields. A row is sent when its token, its state or its entropy (in thousandths of a nat) changed since it was last
// sent, so a step that was left out for a slow reader loses nothing. Test: tests/server/service_test.cc.
#pragma once

#include <vector>

#include "dgemma/canvas_rows.h"
#include "dgemma/text.h"
#include "server/json.h"

namespace dgemma::server {

class DraftEvents {
 public:
  explicit DraftEvents(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  static Json started(const Started& event);
  Json canvas(const CanvasStarted& event) const;
  /// Takes note of a step that is not sent.
  void skip(const CanvasDraft& event) { rows_.update(event); }
  Json draft(const CanvasDraft& event);
  static Json committed(const Committed& event);

 private:
  struct Sent {
    int32_t id = -1;
    RowState state = RowState::kNoise;
    long entropy = 0;  ///< thousandths of a nat
  };
  const Tokenizer& tokenizer_;
  CanvasRows rows_;
  std::vector<Sent> sent_;  ///< [L], of the canvas that was sent last
  int canvas_ = -1;
};

}  // namespace dgemma::server
