// CanvasView: what an answer looks like at one moment, as lines of coloured text.
//
//     final text that is not yet a whole line, then the canvas:   The answer is fo∎ rty▒two ...
//     status line:                                               canvas 1 · step 3/48 · 41/64 accepted · entropy 0.71
//     legend, where there are colours and room:                  noise  draft  accepted  settled  ∎ end  ◇ control
//     token
//
// Pure: events in, lines out; no terminal, no clock (those are LiveDisplay and Terminal). Lines break where the
// terminal would break the final text, and newline tokens break lines unless they are noise, so that text comes into
// focus in its place. A canvas that is taller than the window is shown from the first line that still changes. Test:
// tests/cli/canvas_view_test.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cells.h"
#include "cli/palette.h"
#include "dgemma/canvas_rows.h"
#include "dgemma/events.h"

namespace dgemma::cli {

/// How ids become text.
struct TokenTexts {
  std::function<std::string(int32_t)> piece;                    ///< of one token; "" for a control token
  std::function<std::string(std::span<const int32_t>)> decode;  ///< of several, e.g. the bytes of a character
};

class CanvasView {
 public:
  CanvasView(TokenTexts texts, ColorDepth colors) : texts_(std::move(texts)), palette_(colors) {}

  void start(const Started& started);
  /// The canvas before its first step.
  void noise(std::span<const int32_t> input);
  void draft(const CanvasDraft& draft);
  /// Final text that follows what was committed before; the canvas it came from is gone. What follows thoughts begins
  /// a line.
  void commit(std::string_view text, bool reasoning);
  void clear_canvas() { canvas_rows_.clear(); }

  /// Takes the final text that is whole lines, ready for printing, newlines included.
  std::string take_lines();
  /// Takes all final text.
  std::string take_rest();
  /// All of the text and the canvas, without a status line.
  std::vector<std::string> text(int width) const;
  /// The picture: at least one and at most max(height, 1) lines, each at most `width` cells, those below the text at
  /// most width - 1.
  std::vector<std::string> frame(int width, int height);

 private:
  struct Run {
    std::string text;
    bool reasoning = false;
  };
  std::vector<Cell> cells() const;
  size_t add_control_run(std::span<const CanvasRow> rows, CellWriter& writer) const;
  size_t add_split_character(std::span<const CanvasRow> rows, CellWriter& writer) const;
  bool is_end(int32_t id) const;
  std::string styled(const Run& run) const;
  std::string status(int width, const std::string& hidden) const;
  std::string legend(int width) const;
  std::string progress() const;
  size_t window_start(const std::vector<Line>& lines, size_t visible);

  TokenTexts texts_;
  Palette palette_;
  std::vector<int32_t> eos_ids_;
  std::vector<Run> open_;   ///< final text after the last line that was taken
  CanvasRows canvas_rows_;  ///< empty between canvases
  int prompt_tokens_ = 0;
  int canvas_ = 0, step_ = 0, max_steps_ = 0;
  size_t accepted_ = 0;
  double mean_entropy_ = 0;
  size_t window_ = 0;  ///< first line shown of a picture that is too tall
};

}  // namespace dgemma::cli
