// LiveDisplay: an answer drawn on a terminal while it comes into focus.
//
// Joins the picture (CanvasView), its drawing (FramePainter) and the terminal, and decides when: at most 30 frames a
// second, the last step of a canvas always. Called by the session's thread with events and by the signal thread for
// resizes and stops, so every entry takes the lock. Test: tests/cli/terminal_test.cc.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>

#include "cli/canvas_view.h"
#include "cli/frame_painter.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace dgemma::cli {

class LiveDisplay : public Drawing {
 public:
  /// Draws until finish() or the end of the object. `pace`: seconds that each step stays visible at least.
  LiveDisplay(Output& out, CanvasView view, double pace);
  ~LiveDisplay() override { finish(); }

  void start(const Started& started);
  void noise(const CanvasStarted& canvas);
  void draft(const CanvasDraft& draft);
  /// The end of a canvas: text that is final from now on. `canvas`: false for text that waited for the answer's end.
  void commit(std::string_view content, std::string_view reasoning, bool canvas = true);
  /// Leaves the final text only, as if it had been printed; `with_draft`: the whole canvas as it is now too.
  void finish(bool with_draft = false);
  /// Ends a pause that shows a step (--pace); later steps are not held. From any thread.
  void hurry();

  void resize() override;
  void suspend() override;
  void resume() override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const std::string& first = "");
  void draw_if_due(bool must);
  void hold(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable hurry_;
  Terminal terminal_;
  CanvasView view_;
  FramePainter painter_;
  std::chrono::duration<double> pace_;
  Clock::time_point last_frame_;
  bool active_ = false;
  bool hurried_ = false;
};

}  // namespace dgemma::cli
