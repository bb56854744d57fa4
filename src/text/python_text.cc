// See python_text.h. Test: tests/text/python_text_test.cc.
#include "text/python_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>

#include "base/utf8.h"
#include "text/unicode.h"

namespace dgemma::text {
namespace {

void append_escape(std::string& out, const char* format, char32_t c) {
  char text[12];
  std::snprintf(text, sizeof text, format, static_cast<unsigned>(c));
  out += text;
}

/// repr(str): single quotes, or double ones when that saves escapes.
std::string quoted_text(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t i = 0; i < text.size(); i += base::utf8_length(text[i])) {
    const std::string_view character = text.substr(i, base::utf8_length(text[i]));
    const char32_t c = base::utf8_code_point(character);
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      (out += '\\') += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_python_printable(c)) {
      out += character;
    } else {
      append_escape(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
  }
  return out += quote;
}

double parse_real(const std::string& text) {
  double value = 0;  // nlohmann refused what is not a finite number
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string number_text(const JsonTree& value) {
  if (value.is(JsonTree::Kind::kReal)) return python_float(parse_real(value.text));
  return value.text == "-0" ? "0" : value.text;
}

void append_repr(const JsonTree& value, std::string& out) {
  switch (value.kind) {
    case JsonTree::Kind::kNull:
      out += "None";
      return;
    case JsonTree::Kind::kFalse:
      out += "False";
      return;
    case JsonTree::Kind::kTrue:
      out += "True";
      return;
    case JsonTree::Kind::kInteger:
    case JsonTree::Kind::kReal:
      out += number_text(value);
      return;
    case JsonTree::Kind::kString:
      out += quoted_text(value.text);
      return;
    case JsonTree::Kind::kArray:
      out += '[';
      for (const JsonTree& item : value.items) {
        if (&item != &value.items.front()) out += ", ";
        append_repr(item, out);
      }
      out += ']';
      return;
    case JsonTree::Kind::kObject:
      out += '{';
      for (const auto& member : value.members) {
        if (&member != &value.members.front()) out += ", ";
        out += quoted_text(member.first) + ": ";
        append_repr(member.second, out);
      }
      out += '}';
      return;
  }
}

}  // namespace

std::string python_float(double value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  // [-]d[.ddd]e[+-]xx: the digits without the point, and the exponent of the first one
  const std::string_view shortest(text, static_cast<size_t>(end - text));
  const bool negative = shortest[0] == '-';
  const size_t e = shortest.find('e');
  if (e == std::string_view::npos) return std::isnan(value) ? "nan" : negative ? "-inf" : "inf";
  std::string digits;
  for (const char c : shortest.substr(0, e))
    if (c >= '0' && c <= '9') digits += c;
  int exponent = 0;
  const bool plus = shortest[e + 1] == '+';
  std::from_chars(shortest.data() + e + (plus ? 2 : 1), shortest.data() + shortest.size(), exponent);
  const std::string sign = negative ? "-" : "";
  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string power = std::to_string(std::abs(exponent));
    std::string out = sign + digits.substr(0, 1);
    if (count > 1) out.append(".").append(digits, 1);
    return out.append(exponent < 0 ? "e-" : "e+").append(power.size() < 2 ? "0" : "").append(power);
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (exponent + 1 >= count) return sign + digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  return sign + digits.substr(0, static_cast<size_t>(exponent) + 1) + "." +
         digits.substr(static_cast<size_t>(exponent) + 1);
}

std::string python_str(const JsonTree& value) { return value.is_string() ? value.text : python_repr(value); }

std::string python_repr(const JsonTree& value) {
  std::string out;
  append_repr(value, out);
  return out;
}

bool python_true(const JsonTree& value) {
  switch (value.kind) {
    case JsonTree::Kind::kNull:
    case JsonTree::Kind::kFalse:
      return false;
    case JsonTree::Kind::kTrue:
      return true;
    case JsonTree::Kind::kInteger:
      return value.text != "0" && value.text != "-0";
    case JsonTree::Kind::kReal:
      return parse_real(value.text) != 0.0;
    case JsonTree::Kind::kString:
      return !value.text.empty();
    case JsonTree::Kind::kArray:
      return !value.items.empty();
    case JsonTree::Kind::kObject:
      return !value.members.empty();
  }
  return false;
}

}  // namespace dgemma::text
