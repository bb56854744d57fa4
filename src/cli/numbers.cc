// See numbers.h.
#include "cli/numbers.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace dgemma::cli {
namespace {

template <class Number>
std::optional<Number> parse_all(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<int64_t> parse_whole(std::string_view text, int64_t low, int64_t high) {
  const auto value = parse_all<int64_t>(text);
  return value && *value >= low && *value <= high ? value : std::nullopt;
}

std::optional<uint64_t> parse_unsigned(std::string_view text) {
  if (text.starts_with('-')) return std::nullopt;
  return parse_all<uint64_t>(text);
}

std::optional<double> parse_real(std::string_view text, double low, bool above) {
  const auto value = parse_all<double>(text);
  if (!value || !std::isfinite(*value) || *value < low || (above && *value <= low)) return std::nullopt;
  return value;
}

std::optional<std::vector<int32_t>> parse_ids(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']') && text.size() >= 2) text = text.substr(1, text.size() - 2);
  std::vector<int32_t> ids;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const auto id = parse_whole(text.substr(0, comma), 0, std::numeric_limits<int32_t>::max());
    if (!id) return std::nullopt;
    ids.push_back(static_cast<int32_t>(*id));
    if (comma == text.npos) return ids;
    text.remove_prefix(comma + 1);
    if (text.starts_with(' ')) text.remove_prefix(1);
    if (text.empty()) return std::nullopt;  // "2,5,"
  }
  return ids;
}

}  // namespace dgemma::cli
