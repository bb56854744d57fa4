// Numbers as people type them, read strictly: the whole text has to be one number in range, or there is no number.
//
// No sign but '-', no spaces, no hexadecimal, no "nan", no "inf", no trailing letters. Test:
// tests/cli/arguments_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace dgemma::cli {

/// A whole number in [low, high].
std::optional<int64_t> parse_whole(std::string_view text, int64_t low, int64_t high);
/// A whole number of 64 bits without a sign.
std::optional<uint64_t> parse_unsigned(std::string_view text);
/// A finite number in [low, infinity), or in (low, infinity) where `above` is set.
std::optional<double> parse_real(std::string_view text, double low, bool above);
/// Token ids "2,5,9", also with one space after a comma and in brackets, so that a JSON array can be pasted. Empty text
/// and "[]" give no ids.
std::optional<std::vector<int32_t>> parse_ids(std::string_view text);

}  // namespace dgemma::cli
