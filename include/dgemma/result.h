// Result<T>: a value or an Error, with the member names of C++23's std::expected.
//
// Every failure that bad input can cause (a file, a request, memory, an option) travels as a Result; our own bugs stop
// the program through DG_CHECK (src/base/check.h). Nothing throws. The standard's std::expected replaces this file the
// day that GCC 12 and clang 14 are no longer supported. Codes, exit status and HTTP status stand in one table,
// src/base/error_table.cc. Tests: tests/base/result_test.cc.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace dgemma {

/// What kind of failure; decides the exit status of the program and the HTTP status of the service.
enum class ErrorCode {
  kUsage,           ///< an option or argument that cannot be used
  kInvalidRequest,  ///< a request (messages, token ids, sampler values) that cannot be used
  kNotFound,        ///< a file or a name that does not exist
  kIo,              ///< reading or writing failed: permission, full disk, broken pipe
  kModelFile,       ///< a model, tokenizer or template file that cannot be used
  kUnsupported,     ///< valid, but not something this program or this machine can do
  kOutOfMemory,     ///< not enough memory, said before it is taken
  kContextFull,     ///< prompt and answer do not fit into the context
  kCancelled,       ///< the caller asked to stop
  kBusy,            ///< no place free now; try later
  kInternal,        ///< anything that is our fault and still no reason to stop the program
};

/// A failure. `message` reads "WHERE: expected X, got Y. WHAT TO DO", without a program name or a final newline.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

/// Process exit status (docs/CLI.md): 1 failed, 2 usage, 3 model file, 4 memory, 130 interrupted.
int exit_status(ErrorCode code);
/// HTTP status of the service: 400, 404, 429, 499, 500, 503.
int http_status(ErrorCode code);
/// Stable lower-case name, e.g. "model_file"; used in logs and in JSON errors.
const char* error_name(ErrorCode code);

/// Wraps an Error so that `return Unexpected(...)` converts to any Result<T>.
struct Unexpected {
  explicit Unexpected(Error e) : error(std::move(e)) {}
  Unexpected(ErrorCode code, std::string message) : error{code, std::move(message)} {}
  Error error;
};

namespace detail {
[[noreturn]] void bad_result_access(const Error& error);
[[noreturn]] void no_error();
}  // namespace detail

/// A T or an Error. Reading what is not there is a bug and stops the program, with the error's message if there is one.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Unexpected u) : state_(std::in_place_index<1>, std::move(u.error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & { return check(), *std::get_if<0>(&state_); }
  const T& value() const& { return check(), *std::get_if<0>(&state_); }
  T&& value() && { return check(), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    if (has_value()) detail::no_error();
    return *std::get_if<1>(&state_);
  }
  template <class U>
  T value_or(U&& other) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(other));
  }

 private:
  void check() const {
    if (!has_value()) detail::bad_result_access(error());
  }
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Unexpected u) : error_(std::move(u.error)), ok_(false) {}
  bool has_value() const { return ok_; }
  explicit operator bool() const { return ok_; }
  void value() const {
    if (!ok_) detail::bad_result_access(error_);
  }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace dgemma

/// Hands the error of `expr` to the caller, or goes on: DG_TRY(write(file));
#define DG_TRY(expr)                                                                                     \
  do {                                                                                                   \
    if (auto dg_try_result = (expr); !dg_try_result) return ::dgemma::Unexpected(dg_try_result.error()); \
  } while (false)

#define DG_CONCAT_(a, b) a##b
#define DG_CONCAT(a, b) DG_CONCAT_(a, b)

/// Declares `var` from the value of `expr`, or hands the error to the caller: DG_TRY_ASSIGN(auto file, open(path));
#define DG_TRY_ASSIGN(var, expr)                                                                              \
  auto DG_CONCAT(dg_result_, __LINE__) = (expr);                                                              \
  if (!DG_CONCAT(dg_result_, __LINE__)) return ::dgemma::Unexpected(DG_CONCAT(dg_result_, __LINE__).error()); \
  var = std::move(DG_CONCAT(dg_result_, __LINE__)).value()
