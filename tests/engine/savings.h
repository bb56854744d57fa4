// The savings of SweepOptions by name, for tests and a benchmark that leave out one after the other.
#pragma once

#include <map>
#include <string>

#include "dgemma/options.h"

namespace dgemma {

inline const std::map<std::string, bool SweepOptions::*> kSavings = {
    {"join_commit", &SweepOptions::join_commit},
    {"join_prompt", &SweepOptions::join_prompt},
    {"skip_conditioning", &SweepOptions::skip_conditioning},
    {"skip_soft", &SweepOptions::skip_soft},
    {"defer_soft", &SweepOptions::defer_soft},
    {"skip_encoded_tail", &SweepOptions::skip_encoded_tail}};

/// Every saving but the one named; none for "all".
inline SweepOptions savings_without(const std::string& name) {
  SweepOptions options;
  for (const auto& [saving, field] : kSavings)
    if (name == saving || name == "all") options.*field = false;
  return options;
}

}  // namespace dgemma
