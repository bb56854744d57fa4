// See canvas_view.h.
#include "cli/canvas_view.h"

#include <algorithm>
#include <cstdio>

#include "base/format.h"
#include "cli/terminal_text.h"

namespace dgemma::cli {
namespace {

constexpr const char* kEndSign = "∎";
constexpr const char* kControlSign = "◇";
constexpr int kLegendHeight = 8;  // lower windows have no line to spare
constexpr const char* kHalfCharacter = "\xEF\xBF\xBD";

int shade_of(float entropy) {
  const float sureness = 1.0F - entropy / kNoiseEntropy;
  return std::clamp(static_cast<int>(sureness * kDraftShades), 0, kDraftShades - 1);
}

Look look_of(const CanvasRow& row) {
  switch (row.state) {
    case RowState::kNoise:
      return {TokenState::kNoise, 0};
    case RowState::kDraft:
      return {TokenState::kDraft, shade_of(row.entropy)};
    case RowState::kAccepted:
      return {TokenState::kAccepted, 0};
    case RowState::kSettled:
      return {TokenState::kSettled, 0};
  }
  return {};
}

}  // namespace

void CanvasView::start(const Started& started) {
  eos_ids_.assign(started.eos_ids.begin(), started.eos_ids.end());
  prompt_tokens_ = static_cast<int>(started.prompt_ids.size());
  open_.clear();
  canvas_rows_.clear();
  window_ = 0;
}

void CanvasView::noise(std::span<const int32_t> input) {
  canvas_rows_.noise(input);
  accepted_ = 0;
  step_ = -1;
}

void CanvasView::draft(const CanvasDraft& draft) {
  canvas_ = draft.canvas;
  step_ = draft.step;
  max_steps_ = draft.max_steps;
  mean_entropy_ = draft.mean_entropy;
  accepted_ = static_cast<size_t>(std::count(draft.accepted.begin(), draft.accepted.end(), uint8_t{1}));
  canvas_rows_.update(draft);
}

void CanvasView::commit(std::string_view text, bool reasoning) {
  if (text.empty()) return;
  if (!reasoning && !open_.empty() && open_.back().reasoning && !open_.back().text.ends_with('\n'))
    open_.back().text += '\n';
  if (open_.empty() || open_.back().reasoning != reasoning) open_.push_back({"", reasoning});
  open_.back().text += safe_for_terminal(text);
}

std::string CanvasView::styled(const Run& run) const {
  return run.reasoning ? palette_.begin(TokenState::kReasoning) + run.text + palette_.end() : run.text;
}

std::string CanvasView::take_lines() {
  std::string taken;
  size_t last = open_.size();  // the run with the last newline
  while (last > 0 && open_[last - 1].text.find('\n') == std::string::npos) --last;
  if (last == 0) return taken;
  for (size_t i = 0; i + 1 < last; ++i) taken += styled(open_[i]);
  Run& run = open_[last - 1];
  const size_t cut = run.text.rfind('\n') + 1;
  taken += styled({run.text.substr(0, cut), run.reasoning});
  run.text.erase(0, cut);
  open_.erase(open_.begin(), open_.begin() + static_cast<std::ptrdiff_t>(run.text.empty() ? last : last - 1));
  window_ = 0;
  return taken;
}

std::string CanvasView::take_rest() {
  std::string taken;
  for (const Run& run : open_) taken += styled(run);
  open_.clear();
  return taken;
}

bool CanvasView::is_end(int32_t id) const { return std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end(); }

/// A run of one control token (padding after the end, mostly) as "∎×41"; gives how many rows it took.
size_t CanvasView::add_control_run(std::span<const CanvasRow> rows, CellWriter& writer) const {
  size_t count = 1;
  const CanvasRow& first = rows.front();
  const Look look = look_of(first);
  if (first.state != RowState::kNoise)
    while (count < rows.size() && rows[count].id == first.id && look_of(rows[count]) == look) ++count;
  std::string sign = is_end(first.id) ? kEndSign : kControlSign;
  if (count > 1) sign += "×" + std::to_string(count);
  // Not part of the text: never bold, and faint once it is sure.
  const bool sure = first.state == RowState::kSettled || first.state == RowState::kAccepted;
  writer.add(sign, sure ? Look{TokenState::kFaint, 0} : look);
  return count;
}

/// Rows that each hold some bytes of one character; gives how many rows it took.
size_t CanvasView::add_split_character(std::span<const CanvasRow> rows, CellWriter& writer) const {
  std::vector<int32_t> ids;
  for (const CanvasRow& row : rows) {
    if (row.state == RowState::kNoise || texts_.piece(row.id) != kHalfCharacter) break;
    ids.push_back(row.id);
  }
  const bool whole = ids.size() > 1 && texts_.decode;
  writer.add(whole ? texts_.decode(ids) : kHalfCharacter, look_of(rows.front()));
  return whole ? ids.size() : 1;
}

std::vector<Cell> CanvasView::cells() const {
  CellWriter writer;
  for (const Run& run : open_) writer.add(run.text, {run.reasoning ? TokenState::kReasoning : TokenState::kText, 0});
  for (std::span<const CanvasRow> rows = canvas_rows_.rows(); !rows.empty();) {
    const CanvasRow& row = rows.front();
    const std::string piece = texts_.piece(row.id);
    size_t taken = 1;
    if (piece.empty())
      taken = add_control_run(rows, writer);
    else if (piece == kHalfCharacter)
      taken = add_split_character(rows, writer);
    else
      writer.add(piece, look_of(row), row.state == RowState::kNoise);
    rows = rows.subspan(taken);
  }
  return writer.take();
}

/// Keeps the window where it is while the first changing line is in it, and moves it there otherwise.
size_t CanvasView::window_start(const std::vector<Line>& lines, size_t visible) {
  if (lines.size() <= visible) return window_ = 0;
  const auto first = std::find_if(lines.begin(), lines.end(), [](const Line& line) { return line.changing; });
  const size_t last_start = lines.size() - visible;
  if (first != lines.end()) {
    const auto line = static_cast<size_t>(first - lines.begin());
    if (line < window_ || line >= window_ + visible) window_ = line > 0 ? line - 1 : 0;  // one settled line above
  }
  return window_ = std::min(window_, last_start);
}

std::string CanvasView::progress() const {
  const std::string reading = open_.empty() ? base::concat("reading the prompt: ", prompt_tokens_, " tokens") : "";
  if (canvas_rows_.empty()) return open_.empty() ? reading : "next canvas";
  if (step_ < 0) return open_.empty() ? "noise · " + reading : "noise";
  char text[96];
  std::snprintf(text, sizeof text, "canvas %d · step %d/%d · %zu/%zu accepted · entropy %.2f", canvas_ + 1, step_ + 1,
                max_steps_, accepted_, canvas_rows_.rows().size(), mean_entropy_);
  return text;
}

std::string CanvasView::status(int width, const std::string& hidden) const {
  std::string text = progress() + hidden;
  while (text_width(text) > std::max(0, width - 1)) {  // too narrow: leave out from the right
    const size_t dot = text.rfind(" · ");
    if (dot == text.npos) {
      text.resize(static_cast<size_t>(std::max(0, width - 1)));  // plain ASCII by now
      break;
    }
    text.resize(dot);
  }
  return palette_.begin(TokenState::kFaint) + text + palette_.end();
}

/// What colours and signs mean, as far as there is room for it.
std::string CanvasView::legend(int width) const {
  std::string text;
  int used = 0;
  const auto add = [&](const std::string& word, Look look) {
    text += base::concat(palette_.begin(look.state, look.shade), word, palette_.end());
  };
  const auto entry = [&](const std::string& word, Look look) {
    const int wanted = (used > 0 ? 2 : 0) + text_width(word);
    if (used + wanted > width - 1) return;
    if (used > 0) text += "  ";
    used += wanted;
    if (look.state != TokenState::kDraft) return add(word, look);
    for (size_t i = 0; i < word.size(); ++i)  // a letter a shade: unsure to sure
      add(word.substr(i, 1), {look.state, std::min(static_cast<int>(i), kDraftShades - 1)});
  };
  entry("noise", {TokenState::kNoise, 0});
  entry("draft", {TokenState::kDraft, 0});
  entry("accepted", {TokenState::kAccepted, 0});
  entry("settled", {TokenState::kSettled, 0});
  entry(kEndSign + std::string(" end"), {TokenState::kFaint, 0});
  entry(kControlSign + std::string(" control token"), {TokenState::kFaint, 0});
  return text;
}

std::vector<std::string> CanvasView::text(int width) const {
  std::vector<std::string> picture;
  for (Line& line : break_lines(cells(), std::max(width, 1), palette_)) picture.push_back(std::move(line.text));
  return picture;
}

std::vector<std::string> CanvasView::frame(int width, int height) {
  width = std::max(width, 1);
  const bool with_legend = palette_.has_colors() && height >= kLegendHeight;
  const auto lines = break_lines(cells(), width, palette_);
  const size_t below = with_legend ? 2 : 1;
  const size_t visible = height > 1 ? static_cast<size_t>(height) - below : 0;
  const size_t start = window_start(lines, visible);
  const size_t end = std::min(lines.size(), start + visible);
  std::vector<std::string> picture;
  for (size_t i = start; i < end; ++i) picture.push_back(lines[i].text);
  std::string hidden;
  if (end - start < lines.size() && visible > 0)
    hidden = base::concat(" · lines ", start + 1, "-", end, " of ", lines.size());
  picture.push_back(status(width, hidden));
  if (with_legend) picture.push_back(legend(width));
  return picture;
}

}  // namespace dgemma::cli
