// See fields.h.
#include "server/fields.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/format.h"

namespace dgemma::server {
namespace {

std::string shown(const Json* value) {
  if (value == nullptr) return "nothing";
  if (value->is_string()) return base::quoted(value->get_ref<const std::string&>());
  if (value->is_structured()) return value->is_array() ? "an array" : "an object";
  return json_text(*value);
}

std::string one_of(const std::vector<std::string>& choices) {
  std::string list;
  for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
  return (choices.size() == 1 ? "" : "one of ") + list;
}

/// True for a name that can stand in a path as it is.
bool plain(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// A number in [low, high] without a fraction, however it is written: 5 and 5.0 are the same in JSON.
std::optional<int32_t> whole_number(const Json& value, int64_t low, int64_t high) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();  // exact within 32 bits
  if (number < static_cast<double>(low) || number > static_cast<double>(high) || number != std::floor(number))
    return std::nullopt;
  return static_cast<int32_t>(number);
}

}  // namespace

std::optional<int32_t> as_token_id(const Json& value) { return whole_number(value, 0, INT32_MAX); }

void Fault::expected(const std::string& field, const std::string& expectation, const Json* got) {
  set(ErrorCode::kInvalidRequest, base::concat(field, ": expected ", expectation, ", got ", shown(got)));
}

void Fault::unsupported(const std::string& field, const std::string& what) {
  set(ErrorCode::kUnsupported, base::concat(field, ": ", what));
}

Fields::Fields(const Json& value, std::string where, Fault& fault)
    : value_(value), where_(std::move(where)), fault_(fault) {
  if (!value_.is_object()) fault_.expected(where_.empty() ? "body" : where_, "an object", &value_);
}

const Json* Fields::find(const std::string& name) {
  known_.insert(name);
  if (!value_.is_object()) return nullptr;
  const auto found = value_.find(name);
  return found == value_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> Fields::flag(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  fault_.expected(path(name), "true or false", value);
  return std::nullopt;
}

std::optional<int> Fields::whole(const std::string& name, int64_t low, int64_t high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto number = whole_number(*value, low, high)) return *number;
  fault_.expected(path(name), base::concat("a whole number from ", low, " to ", high), value);
  return std::nullopt;
}

std::optional<double> Fields::real(const std::string& name, double low, double high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) {
    const double number = value->get<double>();
    if (std::isfinite(number) && number >= low && number <= high) return number;
  }
  fault_.expected(path(name), base::concat("a number from ", low, " to ", high), value);
  return std::nullopt;
}

std::optional<std::string> Fields::text(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  fault_.expected(path(name), "a string", value);
  return std::nullopt;
}

std::string Fields::word(const std::string& name, const std::vector<std::string>& choices) {
  const Json* value = find(name);
  if (value == nullptr) return "";
  if (value->is_string() && std::find(choices.begin(), choices.end(), value->get<std::string>()) != choices.end())
    return value->get<std::string>();
  fault_.expected(path(name), one_of(choices), value);
  return "";
}

std::string Fields::required_word(const std::string& name, const std::vector<std::string>& choices) {
  if (find(name) == nullptr) fault_.expected(path(name), one_of(choices), nullptr);
  return word(name, choices);
}

std::string Fields::required_text(const std::string& name) {
  const auto value = text(name);
  if (!value) fault_.expected(path(name), "a string", find(name));
  return value.value_or("");
}

const Json* Fields::array(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_array()) return value;
  fault_.expected(path(name), "an array", value);
  return nullptr;
}

const Json* Fields::object(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_object()) return value;
  fault_.expected(path(name), "an object", value);
  return nullptr;
}

void Fields::only(const std::string& name, const std::vector<Json>& neutral, const std::string& why) {
  const Json* value = find(name);
  if (value == nullptr || std::find(neutral.begin(), neutral.end(), *value) != neutral.end()) return;
  fault_.unsupported(path(name), why);
}

void Fields::finish() {
  if (!value_.is_object()) return;
  for (const auto& [name, value] : value_.items()) {
    if (known_.contains(name) || value.is_null()) continue;
    fault_.set(ErrorCode::kInvalidRequest, base::concat(path(plain(name) ? name : base::quoted(name)),
                                                        ": expected a field of this request, got an unknown one"));
  }
}

}  // namespace dgemma::server
