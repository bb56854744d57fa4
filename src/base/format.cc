// See format.h. Test: tests/base/format_test.cc.
#include "base/format.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "base/utf8.h"

namespace dgemma::base {
namespace {

/// False for what a quoted text escapes: quotes, controls, and what moves or hides its neighbours on a screen (joiners,
/// direction marks, line separators).
bool is_shown(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == '\'' || c == '\\') return false;
  return !(c >= 0x200B && c <= 0x200F) && !(c >= 0x2028 && c <= 0x202E) && !(c >= 0x2060 && c <= 0x206F) && c != 0xFEFF;
}

}  // namespace

void check_failed(const char* file, int line, const char* condition, const std::string& values) {
  std::fprintf(stderr, "dgemma: bug: %s:%d: %s is false. %s\n", file, line, condition, values.c_str());
  std::abort();
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024.0 && unit + 1 < kUnits.size()) value /= 1024.0, ++unit;
  char text[32];
  const int decimals = unit == 0 || value >= 100.0 ? 0 : value >= 10.0 ? 1 : 2;
  std::snprintf(text, sizeof text, "%.*f %s", decimals, value, kUnits[unit]);
  return text;
}

std::string quoted(std::string_view text, size_t limit) {
  std::string out = "'";
  const bool cut = text.size() > limit;
  for (std::string_view rest = text.substr(0, limit); !rest.empty();) {
    const Utf8Part part = utf8_first(rest);
    if (cut && part.cut) break;  // half a character, by our own cut
    const std::string_view bytes = rest.substr(0, part.length);
    rest.remove_prefix(part.length);
    if (part.valid && is_shown(utf8_code_point(bytes))) {
      out += bytes;
      continue;
    }
    for (const unsigned char c : bytes) {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02X", c);
      out += hex;
    }
  }
  return out + (cut ? "...'" : "'");
}

}  // namespace dgemma::base
