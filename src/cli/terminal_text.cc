// See terminal_text.h.
#include "cli/terminal_text.h"

#include <utf8proc.h>

#include "base/utf8.h"

namespace dgemma::cli {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kControlPictures = 0x2400;
constexpr char32_t kDeletePicture = 0x2421;

}  // namespace

char32_t take_code_point(std::string_view& rest) {
  const base::Utf8Part part = base::utf8_first(rest);
  const char32_t code_point = part.valid ? base::utf8_code_point(rest) : kReplacement;
  rest.remove_prefix(part.length);
  return code_point;
}

char32_t visible(char32_t code_point) {
  if (code_point == '\n' || code_point == '\t') return code_point;
  if (code_point < 0x20) return kControlPictures + code_point;
  if (code_point == 0x7F) return kDeletePicture;
  return code_point >= 0x80 && code_point < 0xA0 ? kReplacement : code_point;
}

std::string safe_for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) base::utf8_append(out, visible(take_code_point(text)));
  return out;
}

std::string safe_on_one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    base::utf8_append(out, c == '\n' || c == '\t' ? kControlPictures + c : visible(c));
  }
  return out;
}

int cell_width(char32_t code_point) {
  constexpr char32_t kFlagA = 0x1F1E6, kFlagZ = 0x1F1FF;
  if (code_point >= kFlagA && code_point <= kFlagZ) return 2;
  if (code_point >= 0x1F300 && code_point < 0x1FB00) return 2;  // pictographs: older tables say 1 for some
  return utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point));
}

int text_width(std::string_view text) {
  int cells = 0;
  while (!text.empty()) cells += cell_width(take_code_point(text));
  return cells;
}

}  // namespace dgemma::cli
