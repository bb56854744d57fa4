// The recorded runs of Hugging Face transformers under tests/data/golden: which there are, and their traces.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dgemma::golden {

struct Case {
  std::string model;  // "tiny-a"
  std::string name;   // "short"
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.model << "/" << c.name; }
};

inline std::string folder() { return std::string(DGEMMA_SOURCE_DIR) + "/tests/data/golden/"; }

inline std::vector<Case> cases() {
  return {{"tiny-a", "short"},        {"tiny-a", "window-minus-2"},    {"tiny-a", "window-minus-1"},
          {"tiny-a", "window"},       {"tiny-a", "two-windows"},       {"tiny-a", "wide-bound"},
          {"tiny-a", "tight-bound"},  {"tiny-b", "one-token"},         {"tiny-b", "end-token"},
          {"tiny-b", "given-canvas"}, {"tiny-c", "converges"},         {"tiny-c", "stable-twice"},
          {"tiny-c", "no-stability"}, {"tiny-c", "stable-never-sure"}, {"tiny-d", "twelve-layers"}};
}

/// The lines of a trace file.
inline std::vector<nlohmann::json> read_trace(const std::string& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

inline std::vector<nlohmann::json> trace(const Case& c) {
  return read_trace(folder() + c.model + "/" + c.name + ".trace.jsonl");
}

}  // namespace dgemma::golden
