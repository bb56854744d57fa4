// See live_display.h.
#include "cli/live_display.h"

namespace dgemma::cli {
namespace {

constexpr auto kFrameTime = std::chrono::milliseconds(33);

}  // namespace

LiveDisplay::LiveDisplay(Output& out, CanvasView view, double pace)
    : terminal_(out), view_(std::move(view)), pace_(pace) {}

void LiveDisplay::draw(const std::string& first) {
  if (!active_) return;
  const TerminalSize size = terminal_.size();
  terminal_.write(painter_.paint(view_.frame(size.width, size.height - 1), first));
  last_frame_ = Clock::now();
}

void LiveDisplay::draw_if_due(bool must) {
  if (must || Clock::now() - last_frame_ >= kFrameTime) draw();
}

void LiveDisplay::hold(std::unique_lock<std::mutex>& lock) {
  if (pace_.count() > 0) hurry_.wait_for(lock, pace_, [this] { return hurried_; });
}

void LiveDisplay::start(const Started& started) {
  const std::lock_guard lock(mutex_);
  view_.start(started);
  active_ = true;
  terminal_.begin_drawing();
  draw();
}

void LiveDisplay::noise(const CanvasStarted& canvas) {
  std::unique_lock lock(mutex_);
  view_.noise(canvas.input);
  draw_if_due(pace_.count() > 0);
  hold(lock);
}

void LiveDisplay::draft(const CanvasDraft& draft) {
  std::unique_lock lock(mutex_);
  view_.draft(draft);
  draw_if_due(pace_.count() > 0 || draft.last);
  hold(lock);
}

void LiveDisplay::commit(std::string_view content, std::string_view reasoning, bool canvas) {
  const std::lock_guard lock(mutex_);
  view_.commit(reasoning, true);
  view_.commit(content, false);
  if (canvas) view_.clear_canvas();
  const std::string lines = view_.take_lines();
  if (!lines.empty()) draw(lines);
}

void LiveDisplay::finish(bool with_draft) {
  const std::lock_guard lock(mutex_);
  if (!active_) return;
  std::string rest;
  if (with_draft) {
    for (const std::string& line : view_.text(terminal_.size().width)) rest += (rest.empty() ? "" : "\n") + line;
  } else {
    rest = view_.take_rest();
  }
  terminal_.write(painter_.erase() + rest + (rest.empty() ? "" : "\n"));
  active_ = false;
  terminal_.end_drawing();
}

void LiveDisplay::hurry() {
  {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
  }
  hurry_.notify_all();
}

void LiveDisplay::resize() {
  const std::lock_guard lock(mutex_);
  painter_.forget();
  draw();
}

void LiveDisplay::suspend() {
  const std::lock_guard lock(mutex_);
  if (!active_) return;
  terminal_.write(painter_.leave());
  terminal_.end_drawing();
  active_ = false;
}

void LiveDisplay::resume() {
  const std::lock_guard lock(mutex_);
  active_ = true;
  painter_ = {};
  terminal_.begin_drawing();
  draw();
}

}  // namespace dgemma::cli
