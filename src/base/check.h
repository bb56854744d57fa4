// DG_CHECK: stops the program on our own bugs, with the condition, the place and the values that broke it.
//
// Never for input: what a file, a request or an option can cause is a Result (dgemma/result.h). Kept in every build,
// since a wrong answer costs more than the branch.
#pragma once

#include <string>

#include "base/format.h"

namespace dgemma::base {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& values);
}

/// DG_CHECK(rows == 16, "rows ", rows): the values are streamed one after the other.
#define DG_CHECK(condition, ...)                                                                         \
  do {                                                                                                   \
    if (!(condition)) [[unlikely]]                                                                       \
      ::dgemma::base::check_failed(__FILE__, __LINE__, #condition, ::dgemma::base::concat(__VA_ARGS__)); \
  } while (false)
