// See line_editor.h.
#include "cli/line_editor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cwchar>
#include <filesystem>
#include <string_view>

#include "base/check.h"
#include "base/file_descriptor.h"

namespace dgemma::cli {
namespace {

constexpr int kHistoryLines = 1000;
constexpr char kPromptMark = '\1';  // between two of these libedit counts no cells

/// Makes the folders and an empty private file, where they are missing.
bool prepare_private_file(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const base::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return false;
  ::fchmod(file.get(), 0600);
  return true;
}

}  // namespace

LineEditor::LineEditor(Signals& signals, std::string history_file)
    : signals_(signals), history_file_(std::move(history_file)) {
  int ends[2];
  DG_CHECK(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "errno ", errno);
  wake_reader_ = base::FileDescriptor(ends[0]), wake_writer_ = base::FileDescriptor(ends[1]);
  ::tcgetattr(STDIN_FILENO, &usual_);
  editor_ = ::el_init("dgemma", stdin, stdout, stderr);
  DG_CHECK(editor_ != nullptr, "el_init");
  ::el_set(editor_, EL_CLIENTDATA, this);
  ::el_set(editor_, EL_EDITOR, "emacs");
  ::el_set(editor_, EL_PROMPT_ESC, &LineEditor::prompt_of, kPromptMark);
  ::el_set(editor_, EL_GETCFN, &LineEditor::read_character);
  ::el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  history_ = ::history_init();
  HistEvent event;
  ::history(history_, &event, H_SETSIZE, kHistoryLines);
  ::history(history_, &event, H_SETUNIQUE, 1);
  ::el_set(editor_, EL_HIST, ::history, history_);
  if (!history_file_.empty() && !prepare_private_file(history_file_)) history_file_.clear();
  if (!history_file_.empty()) ::history(history_, &event, H_LOAD, history_file_.c_str());
}

LineEditor::~LineEditor() {
  ::history_end(history_);
  ::el_end(editor_);
}

char* LineEditor::prompt_of(EditLine* editor) {
  LineEditor* self = nullptr;
  ::el_get(editor, EL_CLIENTDATA, &self);
  return self->prompt_.data();
}

int LineEditor::read_character(EditLine* editor, wchar_t* character) {
  LineEditor* self = nullptr;
  ::el_get(editor, EL_CLIENTDATA, &self);
  return self->next_character(character);
}

/// One character: 1, the end of input or an interrupt: 0, a failure: -1.
int LineEditor::next_character(wchar_t* character) {
  std::mbstate_t state{};
  while (true) {
    pollfd ready[2] = {{STDIN_FILENO, POLLIN, 0}, {wake_reader_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) return -1;
    if (take_wake()) return 0;
    char byte = 0;
    if ((ready[0].revents & (POLLIN | POLLHUP)) == 0) continue;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return static_cast<int>(got);
    const size_t length = std::mbrtowc(character, &byte, 1, &state);
    if (length == static_cast<size_t>(-1)) *character = 0xFFFD;
    if (length != static_cast<size_t>(-2)) return 1;
  }
}

/// Does what the signal thread asked for; true where the line is given up.
bool LineEditor::take_wake() {
  char why = 0;
  while (::read(wake_reader_.get(), &why, 1) == 1) {
    if (why == static_cast<char>(Wake::kInterrupt)) return interrupted_ = true;
    std::fputs("\r\x1b[K", stdout);  // libedit draws the line anew without looking
    std::fflush(stdout);
    ::el_resize(editor_);
    ::el_set(editor_, EL_REFRESH);
  }
  return false;
}

void LineEditor::wake(Wake why) {
  const char byte = static_cast<char>(why);
  [[maybe_unused]] const ssize_t written = ::write(wake_writer_.get(), &byte, 1);
}

void LineEditor::suspend() {
  ::tcgetattr(STDIN_FILENO, &editing_);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &usual_);
  write_stderr("\n");
}

void LineEditor::resume() {
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &editing_);
  wake(Wake::kRedraw);
}

LineEditor::Input LineEditor::read(const std::string& prompt) {
  prompt_ = std::string(1, kPromptMark) + "\x1b[1m" + kPromptMark + prompt + kPromptMark + "\x1b[0m" + kPromptMark;
  interrupted_ = false;
  ::el_resize(editor_);  // the size may have changed since the last line
  const InterruptScope scope(signals_, [this] { wake(Wake::kInterrupt); });
  signals_.set_drawing(this);
  int count = 0;
  const char* line = ::el_gets(editor_, &count);
  signals_.set_drawing(nullptr);
  if (interrupted_) {
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    return {Outcome::kInterrupted, ""};
  }
  if (line == nullptr || count <= 0) return {Outcome::kEnd, ""};
  std::string text(line, static_cast<size_t>(count));
  if (text.ends_with('\n')) text.pop_back();
  return {Outcome::kLine, std::move(text)};
}

void LineEditor::remember(const std::string& input) {
  HistEvent event;
  ::history(history_, &event, H_ENTER, input.c_str());
  if (history_file_.empty()) return;
  const mode_t mask = ::umask(0077);
  ::history(history_, &event, H_SAVE, history_file_.c_str());
  ::umask(mask);
}

}  // namespace dgemma::cli
