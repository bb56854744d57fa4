// See terminal_text.h.
#include "cli/terminal_text.h"

#include <utf8proc.h>

#include <cstdint>

namespace dgemma::cli {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kControlPictures = 0x2400;
constexpr char32_t kDeletePicture = 0x2421;

/// How a sequence goes on after its lead byte: how many bytes, and what the first of them may be.
struct Lead {
  int more = -1;  ///< -1: no lead byte
  uint8_t low = 0x80, high = 0xBF;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {0};
  if (byte < 0xC2 || byte > 0xF4) return {};
  if (byte < 0xE0) return {1};
  if (byte < 0xF0) return {2, uint8_t(byte == 0xE0 ? 0xA0 : 0x80), uint8_t(byte == 0xED ? 0x9F : 0xBF)};
  return {3, uint8_t(byte == 0xF0 ? 0x90 : 0x80), uint8_t(byte == 0xF4 ? 0x8F : 0xBF)};
}

}  // namespace

char32_t take_code_point(std::string_view& rest) {
  const auto first = static_cast<uint8_t>(rest.front());
  rest.remove_prefix(1);
  Lead lead = lead_of(first);
  if (lead.more < 0) return kReplacement;
  if (lead.more == 0) return first;
  char32_t code_point = first & (0x3Fu >> lead.more);
  for (int i = 0; i < lead.more; ++i) {
    const uint8_t byte = rest.empty() ? 0 : static_cast<uint8_t>(rest.front());
    if (byte < lead.low || byte > lead.high) return kReplacement;
    lead.low = 0x80, lead.high = 0xBF;
    code_point = code_point << 6 | (byte & 0x3Fu);
    rest.remove_prefix(1);
  }
  return code_point;
}

void append_utf8(std::string& out, char32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) append_utf8(out, take_code_point(text));
  return out;
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
  while (!text.empty()) append_utf8(out, visible(take_code_point(text)));
  return out;
}

std::string safe_on_one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    append_utf8(out, c == '\n' || c == '\t' ? kControlPictures + c : visible(c));
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
