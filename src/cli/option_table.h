// OptionTable: one command's options, declared one a line, on top of CLI11.
//
// It adds to CLI11 what the contract asks for: each value is checked when it is read, an error says which option,
// what was expected and what came, and an option given twice is an error. Test: tests/cli/arguments_test.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dgemma::cli {

class OptionTable {
 public:
  explicit OptionTable(CLI::App* app) : app_(app) {}

  /// The heading in the help page for the options that follow.
  void heading(const std::string& text) { heading_ = text; }
  void flag(const std::string& names, const std::string& help, bool& target);
  /// A flag that switches something off.
  void flag_off(const std::string& names, const std::string& help, bool& target);
  /// `store` returns false where the value is not what `expected` says.
  void value(const std::string& names, const std::string& type, const std::string& help, const std::string& expected,
             std::function<bool(const std::string&)> store);
  void text(const std::string& names, const std::string& type, const std::string& help, std::string& target);
  void text(const std::string& names, const std::string& type, const std::string& help,
            std::optional<std::string>& target);
  /// The path of a file or folder. An empty one is a script's unset variable, never a wish. `target` is a string or an
  /// optional<string>.
  template <class Target>
  void path(const std::string& names, const std::string& type, const std::string& help, Target& target) {
    value(names, type, help, "a path", [&target](const std::string& text) { return target = text, !text.empty(); });
  }
  /// A whole number in [low, high]; `target` is an int or an optional<int>.
  template <class Target>
  void whole(const std::string& names, const std::string& help, int low, int high, Target& target) {
    whole_value(names, help, low, high, [&target](int number) { target = number; });
  }
  /// A finite number >= low, or > low where `above` is set; `target` is a double or an optional<double>.
  template <class Target>
  void real(const std::string& names, const std::string& type, const std::string& help, double low, bool above,
            Target& target) {
    real_value(names, type, help, low, above, [&target](double number) { target = number; });
  }
  /// Token ids separated by commas, at least one.
  void ids(const std::string& names, const std::string& help, std::optional<std::vector<int32_t>>& target);

 private:
  void whole_value(const std::string& names, const std::string& help, int low, int high, std::function<void(int)> set);
  void real_value(const std::string& names, const std::string& type, const std::string& help, double low, bool above,
                  std::function<void(double)> set);
  CLI::App* app_;
  std::string heading_ = "Options";
};

}  // namespace dgemma::cli
