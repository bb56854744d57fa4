// See option_table.h.
#include "cli/option_table.h"

#include <limits>
#include <utility>

#include "base/format.h"
#include "cli/numbers.h"

namespace dgemma::cli {
namespace {

/// "--threads" of "-t,--threads", "TEXT" of "TEXT".
std::string long_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

}  // namespace

void OptionTable::flag(const std::string& names, const std::string& help, bool& target) {
  app_->add_flag_callback(
          names, [&target] { target = true; }, help)
      ->group(heading_)
      ->disable_flag_override();
}

void OptionTable::flag_off(const std::string& names, const std::string& help, bool& target) {
  app_->add_flag_callback(
          names, [&target] { target = false; }, help)
      ->group(heading_)
      ->disable_flag_override();
}

void OptionTable::value(const std::string& names, const std::string& type, const std::string& help,
                        const std::string& expected, std::function<bool(const std::string&)> store) {
  const std::string name = long_name(names);
  const auto read = [name, expected, store = std::move(store)](const CLI::results_t& values) {
    if (values.size() > 1)
      throw CLI::ValidationError(name, base::concat("expected one value, got ", values.size(), "."));
    if (!store(values.front()))
      throw CLI::ValidationError(name,
                                 base::concat("expected ", expected, ", got ", base::quoted(values.front()), "."));
    return true;
  };
  app_->add_option(names, read, help)
      ->type_name(names.starts_with('-') ? type : "")  // a positional's name says it already
      ->group(heading_)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void OptionTable::text(const std::string& names, const std::string& type, const std::string& help,
                       std::string& target) {
  value(names, type, help, "text", [&target](const std::string& text) { return target = text, true; });
}

void OptionTable::text(const std::string& names, const std::string& type, const std::string& help,
                       std::optional<std::string>& target) {
  value(names, type, help, "text", [&target](const std::string& text) { return target = text, true; });
}

void OptionTable::whole_value(const std::string& names, const std::string& help, int low, int high,
                              std::function<void(int)> set) {
  std::string expected = base::concat("a whole number from ", low);
  if (high != std::numeric_limits<int>::max()) expected += base::concat(" to ", high);
  value(names, "N", help, expected, [low, high, set = std::move(set)](const std::string& text) {
    const auto number = parse_whole(text, low, high);
    if (number) set(static_cast<int>(*number));
    return number.has_value();
  });
}

void OptionTable::real_value(const std::string& names, const std::string& type, const std::string& help, double low,
                             bool above, std::function<void(double)> set) {
  const std::string expected = base::concat("a finite number ", above ? "> " : ">= ", low);
  value(names, type, help, expected, [low, above, set = std::move(set)](const std::string& text) {
    const auto number = parse_real(text, low, above);
    if (number) set(*number);
    return number.has_value();
  });
}

void OptionTable::ids(const std::string& names, const std::string& help, std::optional<std::vector<int32_t>>& target) {
  value(names, "IDS", help, "token ids such as 2,5,9", [&target](const std::string& text) {
    target = parse_ids(text);
    return target && !target->empty();
  });
}

}  // namespace dgemma::cli
