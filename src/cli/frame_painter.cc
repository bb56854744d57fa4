// See frame_painter.h.
#include "cli/frame_painter.h"

#include "base/format.h"

namespace dgemma::cli {
namespace {

constexpr const char* kBeginUpdate = "\x1b[?2026h";
constexpr const char* kEndUpdate = "\x1b[?2026l";
constexpr const char* kWrapOff = "\x1b[?7l";  // should a terminal think a line wider than we do, it is cut, not broken
constexpr const char* kWrapOn = "\x1b[?7h";
constexpr const char* kEraseBelow = "\x1b[J";
constexpr const char* kEraseLine = "\x1b[K";
// This line and all below. Not CSI J from here: in the screen's first row that would mean the whole screen, which tmux
// and others keep as history. So: this line, then from the next one (ESC 7 and 8 keep the cursor).
constexpr const char* kErasePicture =
    "\r\x1b[K\x1b"
    "7\x1b[B\x1b[J\x1b"
    "8";

std::string up(size_t rows) { return rows == 0 ? "" : base::concat("\x1b[", rows, "A"); }
std::string down(size_t rows) { return rows == 0 ? "" : base::concat("\x1b[", rows, "B"); }

/// A terminal in raw output mode needs the return; others do not mind.
std::string with_returns(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return out;
}

}  // namespace

std::string FramePainter::paint(const std::vector<std::string>& lines, const std::string& first) {
  std::string out = kBeginUpdate;
  if (unknown_ || !first.empty()) out += kErasePicture + with_returns(first), lines_.clear();
  unknown_ = false;
  out += kWrapOff;
  const bool shrinks = lines.size() < lines_.size();
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool last = i + 1 == lines.size();
    const bool known = i < lines_.size() && lines_[i] == lines[i];
    if (!known || (last && shrinks)) out += std::string("\r") + kEraseLine + lines[i];
    if (!last) out += "\r\n";
  }
  if (shrinks) out += kEraseBelow;
  lines_ = lines;
  return out + kWrapOn + up(lines.size() - 1) + "\r" + kEndUpdate;
}

std::string FramePainter::erase() {
  lines_.clear();
  unknown_ = false;
  return kErasePicture;
}

std::string FramePainter::leave() {
  if (lines_.empty()) return "";
  const std::string out = down(lines_.size() - 1) + "\r\n";
  lines_.clear();
  return out;
}

void FramePainter::forget() {
  lines_.clear();
  unknown_ = true;
}

}  // namespace dgemma::cli
