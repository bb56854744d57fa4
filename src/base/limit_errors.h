// What the standard library throws where the system has no more of something, as the house's errors.
//
// Nothing of ours throws, but any allocation may leave by std::bad_alloc and any start of a thread by std::system_error.
// They are caught where somebody can go on without what was being done: around a command, around loading a model that
// is served, around a sweep. Not a net for our own bugs. Test: tests/base/result_test.cc.
#pragma once

#include <new>
#include <system_error>

#include "base/format.h"
#include "dgemma/result.h"

namespace dgemma::base {

/// body(), a Result, or kOutOfMemory or kBusy in its place. `who` needs memory and threads, such as "the command".
template <class Body>
auto with_limit_errors(const char* who, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Unexpected(ErrorCode::kOutOfMemory, concat("memory: expected what ", who,
                                                      " needs, got less. Close other programs, or raise ulimit -v"));
  } catch (const std::system_error& error) {
    return Unexpected(ErrorCode::kBusy, concat("system: expected a thread for ", who, ", got: ", error.code().message(),
                                               ". Close other programs, or raise ulimit -u and -v"));
  }
}

}  // namespace dgemma::base
