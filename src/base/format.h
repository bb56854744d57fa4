// Text for messages: concatenation of values, sizes with units, quoted untrusted text.
//
// Not a general formatting library; <format> is missing in GCC 12 and messages need no more than this.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

namespace dgemma::base {

/// The arguments written one after the other with operator<<; no arguments give "".
template <class... Args>
std::string concat(const Args&... args) {
  std::ostringstream out;
  ((out << args), ...);
  return out.str();
}

/// "1.5 GiB", "12 KiB", "7 B": three significant digits, powers of 1024.
std::string bytes_text(uint64_t bytes);

/// Untrusted text made safe for one line of a message: quoted, control characters and invalid UTF-8 escaped as bytes,
/// cut after at most `limit` bytes, between two characters, with "...".
std::string quoted(std::string_view text, size_t limit = 80);

}  // namespace dgemma::base
