// UTF-8 by hand: cutting text into characters and repairing what is not UTF-8.
//
// Everything behind the tokenizer and the chat format may take its text as valid UTF-8, because it went through
// utf8_repair first. Not Unicode in general: properties of characters (case, word or space) stand in text/unicode.h.
// Well formed means table 3-7 of the Unicode standard; an invalid part becomes one U+FFFD per maximal subpart, which is
// what Python's errors="replace" does. Test: tests/base/utf8_test.cc.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace dgemma::base {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

/// What stands at the start of a byte sequence.
struct Utf8Part {
  size_t length = 0;   ///< bytes; at least 1
  bool valid = false;  ///< a whole character; otherwise a maximal invalid part
  bool cut = false;    ///< invalid only because the bytes end: more of them could make it whole
};

/// Looks at the start of `bytes`, which must not be empty.
Utf8Part utf8_first(std::string_view bytes);

/// Length in bytes of the first character of valid, non-empty UTF-8.
inline size_t utf8_length(char first_byte) {
  const auto b = static_cast<unsigned char>(first_byte);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

/// How many characters valid UTF-8 has.
inline size_t utf8_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

/// The code point of the first character of valid, non-empty UTF-8.
char32_t utf8_code_point(std::string_view text);
/// Where the last character of valid, non-empty UTF-8 begins.
size_t utf8_last(std::string_view text);
/// Appends one code point, which must be a Unicode scalar value.
void utf8_append(std::string& out, char32_t code_point);

bool utf8_is_valid(std::string_view bytes);
/// The same text with every maximal invalid part replaced by U+FFFD.
std::string utf8_repair(std::string_view bytes);

}  // namespace dgemma::base
