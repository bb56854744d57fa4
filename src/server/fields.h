// Fields: one object of a request, read field by field; whatever nobody read is an error.
//
// The first fault is kept, later reads go on with defaults, and finish() tells: so a parser is a list of fields, not a
// ladder of checks. null counts as absent, as in the OpenAI API. Test: tests/server/fields_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dgemma/result.h"
#include "server/json.h"

namespace dgemma::server {

/// A whole number from 0 to 2^31 - 1, nothing otherwise.
std::optional<int32_t> as_token_id(const Json& value);

/// The first thing that is wrong with a request.
class Fault {
 public:
  void set(ErrorCode code, std::string message) {
    if (!error_) error_ = Error{code, std::move(message)};
  }
  /// "FIELD: expected EXPECTED, got GOT".
  void expected(const std::string& field, const std::string& expectation, const Json* got);
  void unsupported(const std::string& field, const std::string& what);
  bool any() const { return error_.has_value(); }
  Result<void> result() const {
    if (error_) return Unexpected(*error_);
    return {};
  }

 private:
  std::optional<Error> error_;
};

class Fields {
 public:
  /// `where` is the path of `value` in the request, "" for the body itself. A value that is no object is a fault.
  Fields(const Json& value, std::string where, Fault& fault);

  /// Null where the field is absent. Marks it as read.
  const Json* find(const std::string& name);
  std::optional<bool> flag(const std::string& name);
  std::optional<int> whole(const std::string& name, int64_t low, int64_t high);
  std::optional<double> real(const std::string& name, double low, double high);
  std::optional<std::string> text(const std::string& name);
  /// One of `choices`; "" where absent.
  std::string word(const std::string& name, const std::vector<std::string>& choices);
  /// The same of one that must be there.
  std::string required_word(const std::string& name, const std::vector<std::string>& choices);
  std::string required_text(const std::string& name);
  const Json* array(const std::string& name);
  const Json* object(const std::string& name);

  /// A field without effect here: any value of it is fine.
  void ignore(const std::string& name) { known_.insert(name); }
  /// A field that is not supported: only absent and values that mean "off" are fine.
  void only(const std::string& name, const std::vector<Json>& neutral, const std::string& why);
  /// The rest of the fields: each that is not null is a fault. Call last.
  void finish();

  std::string path(const std::string& name) const { return where_.empty() ? name : where_ + "." + name; }
  Fault& fault() { return fault_; }

 private:
  const Json& value_;
  std::string where_;
  Fault& fault_;
  std::set<std::string> known_;
};

}  // namespace dgemma::server
