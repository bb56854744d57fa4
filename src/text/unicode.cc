// See unicode.h. Test: tests/text/unicode_test.cc.
#include "text/unicode.h"
#include "base/utf8.h"

#include <utf8proc.h>

namespace dgemma::text {
namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

/// White space that Rust and Python agree on.
bool is_common_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// Upper-case forms of more than one character (SpecialCasing.txt of Unicode, unconditional entries).
struct SpecialUpper {
  char32_t lower;
  char32_t upper[3];  // 0: none
};
constexpr SpecialUpper kSpecialUpper[] = {{0x00DF, {'S', 'S'}},
                                          {0x0149, {0x2BC, 'N'}},
                                          {0x01F0, {'J', 0x30C}},
                                          {0x0390, {0x399, 0x308, 0x301}},
                                          {0x03B0, {0x3A5, 0x308, 0x301}},
                                          {0x0587, {0x535, 0x552}},
                                          {0x1E96, {'H', 0x331}},
                                          {0x1E97, {'T', 0x308}},
                                          {0x1E98, {'W', 0x30A}},
                                          {0x1E99, {'Y', 0x30A}},
                                          {0x1E9A, {'A', 0x2BE}},
                                          {0xFB00, {'F', 'F'}},
                                          {0xFB01, {'F', 'I'}},
                                          {0xFB02, {'F', 'L'}},
                                          {0xFB03, {'F', 'F', 'I'}},
                                          {0xFB04, {'F', 'F', 'L'}},
                                          {0xFB05, {'S', 'T'}},
                                          {0xFB06, {'S', 'T'}},
                                          {0xFB13, {0x544, 0x546}},
                                          {0xFB14, {0x544, 0x535}},
                                          {0xFB15, {0x544, 0x53B}},
                                          {0xFB16, {0x54E, 0x546}},
                                          {0xFB17, {0x544, 0x53D}}};

void append_upper(std::string& out, char32_t c) {
  for (const SpecialUpper& special : kSpecialUpper) {
    if (special.lower != c) continue;
    for (const char32_t u : special.upper)
      if (u != 0) base::utf8_append(out, u);
    return;
  }
  base::utf8_append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

bool is_cased(char32_t c) {
  const auto k = category(c);
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}
bool is_case_ignorable(char32_t c) {
  const auto k = category(c);
  return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
         k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' || c == ':' || c == 0xB7 ||
         c == 0x2019;
}

/// A capital sigma becomes a final one after a cased letter and before none.
bool is_final_sigma(std::string_view text, size_t at) {
  bool cased_before = false;
  for (std::string_view before = text.substr(0, at); !before.empty();) {
    const size_t last = base::utf8_last(before);
    const char32_t c = base::utf8_code_point(before.substr(last));
    if (!is_case_ignorable(c)) {
      cased_before = is_cased(c);
      break;
    }
    before = before.substr(0, last);
  }
  if (!cased_before) return false;
  for (size_t i = at + 2; i < text.size(); i += base::utf8_length(text[i])) {
    const char32_t c = base::utf8_code_point(text.substr(i));
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

}  // namespace

bool is_regex_space(char32_t c) { return is_common_space(c); }

bool is_regex_word(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:  // joiners; circled and squared letters, which are Alphabetic symbols
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
             (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  }
}

bool is_python_space(char32_t c) { return is_common_space(c) || (c >= 0x1C && c <= 0x1F); }

bool is_python_printable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

std::string_view python_strip(std::string_view text) {
  while (!text.empty() && is_python_space(base::utf8_code_point(text))) text.remove_prefix(base::utf8_length(text[0]));
  while (!text.empty()) {
    const size_t last = base::utf8_last(text);
    if (!is_python_space(base::utf8_code_point(text.substr(last)))) break;
    text = text.substr(0, last);
  }
  return text;
}

std::string python_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); i += base::utf8_length(text[i]))
    append_upper(out, base::utf8_code_point(text.substr(i)));
  return out;
}

std::string python_lower(std::string_view text) {
  constexpr char32_t kCapitalIWithDot = 0x130, kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2, kDotAbove = 0x307;
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); i += base::utf8_length(text[i])) {
    const char32_t c = base::utf8_code_point(text.substr(i));
    if (c == kCapitalIWithDot) {
      out += 'i';
      base::utf8_append(out, kDotAbove);
    } else if (c == kCapitalSigma && is_final_sigma(text, i)) {
      base::utf8_append(out, kFinalSigma);
    } else {
      base::utf8_append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return out;
}

}  // namespace dgemma::text
