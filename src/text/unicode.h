// The few properties of characters that the tokenizer's flags and the chat template ask for.
//
// Each function names whose definition it follows, because Rust's regex and Python's str differ. Tables are utf8proc's;
// what it lacks (full case mappings) stands in unicode.cc. Test: tests/text/unicode_test.cc.
#pragma once

#include <string>
#include <string_view>

namespace dgemma::text {

/// \s of Rust's regex: the White_Space property.
bool is_regex_space(char32_t c);
/// \w of Rust's regex: Alphabetic, marks, decimal digits, connector punctuation, joiners.
bool is_regex_word(char32_t c);

/// str.isspace of Python for one character.
bool is_python_space(char32_t c);
/// str.isprintable of Python for one character: what repr() shows as it is.
bool is_python_printable(char32_t c);
/// str.strip() of Python. Requires valid UTF-8, as do the next two.
std::string_view python_strip(std::string_view text);
/// str.upper() and str.lower() of Python: full case mappings, final sigma included.
std::string python_upper(std::string_view text);
std::string python_lower(std::string_view text);

}  // namespace dgemma::text
