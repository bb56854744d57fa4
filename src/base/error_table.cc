// The one table that gives each ErrorCode its name, exit status and HTTP status (declared in dgemma/result.h).
// Sources: exit statuses from the command line's contract (README, "Exit status"); HTTP statuses as the OpenAI API uses
// them. Test: tests/base/result_test.cc.
#include <cstdio>
#include <cstdlib>

#include "dgemma/result.h"

namespace dgemma {
namespace {

struct Row {
  ErrorCode code;
  const char* name;
  int exit_status;
  int http_status;
};

constexpr Row kTable[] = {
    {ErrorCode::kUsage, "usage", 2, 400},
    {ErrorCode::kInvalidRequest, "invalid_request", 2, 400},
    {ErrorCode::kNotFound, "not_found", 1, 404},
    {ErrorCode::kIo, "io", 1, 500},
    {ErrorCode::kModelFile, "model_file", 3, 500},
    {ErrorCode::kUnsupported, "unsupported", 2, 400},
    {ErrorCode::kOutOfMemory, "out_of_memory", 4, 503},
    {ErrorCode::kContextFull, "context_full", 2, 400},
    {ErrorCode::kCancelled, "cancelled", 130, 499},
    {ErrorCode::kBusy, "busy", 1, 429},
    {ErrorCode::kInternal, "internal", 1, 500},
};

const Row& row(ErrorCode code) {
  for (const Row& r : kTable)
    if (r.code == code) return r;
  return kTable[std::size(kTable) - 1];
}

}  // namespace

int exit_status(ErrorCode code) { return row(code).exit_status; }
int http_status(ErrorCode code) { return row(code).http_status; }
const char* error_name(ErrorCode code) { return row(code).name; }

namespace detail {
void bad_result_access(const Error& error) {
  std::fprintf(stderr, "dgemma: bug: the value of a failed Result was read; its error: %s\n", error.message.c_str());
  std::abort();
}
void no_error() {
  std::fputs("dgemma: bug: the error of a Result without one was read\n", stderr);
  std::abort();
}
}  // namespace detail

}  // namespace dgemma
