// See format.h. Test: tests/base/format_test.cc.
#include "base/format.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"

namespace dgemma::base {

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
  for (const unsigned char c : text.substr(0, limit)) {
    if (c >= 0x20 && c < 0x7F && c != '\\' && c != '\'') {
      out += static_cast<char>(c);
    } else {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02X", c);
      out += hex;
    }
  }
  return out + (cut ? "...'" : "'");
}

}  // namespace dgemma::base
