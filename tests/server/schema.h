// A small JSON Schema checker for tests: what src/server/openapi.json uses, and no more.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dgemma::server::testing_service {

class Schema {
 public:
  using Json = nlohmann::ordered_json;
  explicit Schema(const Json& document) : document_(document) {}

  /// What is wrong with `value` under #/components/schemas/`name`; "" where nothing is.
  std::string check(const std::string& name, const Json& value) const {
    return check(document_["components"]["schemas"].at(name), value, name);
  }

 private:
  static bool has_type(const Json& value, const std::string& type) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    return type == "array" ? value.is_array() : value.is_object();
  }
  static bool has_a_type(const Json& value, const Json& type) {
    if (type.is_string()) return has_type(value, type);
    return std::any_of(type.begin(), type.end(), [&](const Json& one) { return has_type(value, one); });
  }

  static bool in_range(const Json& schema, double value) {
    return value >= schema.value("minimum", value) && value <= schema.value("maximum", value);
  }

  std::string check(const Json& schema, const Json& value, const std::string& where) const {
    if (schema.contains("$ref")) {
      const std::string ref = schema["$ref"];
      return check(document_.at(Json::json_pointer(ref.substr(1))), value, where);
    }
    if (schema.contains("allOf")) {
      for (const Json& one : schema["allOf"])
        if (const std::string wrong = check(one, value, where); !wrong.empty()) return wrong;
    }
    if (schema.contains("anyOf")) {
      if (const std::string wrong = check_any(schema["anyOf"], value, where); !wrong.empty()) return wrong;
    }
    if (schema.contains("const") && value != schema["const"]) return where + " is not " + schema["const"].dump();
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
      return where + " is none of " + schema["enum"].dump() + ": " + value.dump();
    if (schema.contains("type") && !has_a_type(value, schema["type"]))
      return where + " is no " + schema["type"].dump() + ": " + value.dump();
    if (value.is_number() && !in_range(schema, value.get<double>())) return where + " is out of range: " + value.dump();
    return value.is_object() ? check_object(schema, value, where) : check_array(schema, value, where);
  }
  std::string check_any(const Json& schemas, const Json& value, const std::string& where) const {
    std::string all;
    for (const Json& one : schemas) {
      const std::string wrong = check(one, value, where);
      if (wrong.empty()) return "";
      all += (all.empty() ? "" : " or ") + wrong;
    }
    return all;
  }
  std::string check_object(const Json& schema, const Json& value, const std::string& where) const {
    for (const Json& name : schema.value("required", Json::array()))
      if (!value.contains(name.get<std::string>())) return where + " lacks " + name.get<std::string>();
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [name, member] : value.items()) {
      if (!properties.contains(name)) {
        if (schema.value("additionalProperties", true)) continue;
        return where + " has an unknown " + name;
      }
      const std::string wrong = check(properties[name], member, where + "." + name);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }
  std::string check_array(const Json& schema, const Json& value, const std::string& where) const {
    if (!value.is_array() || !schema.contains("items")) return "";
    for (size_t i = 0; i < value.size(); ++i) {
      const std::string wrong = check(schema["items"], value[i], where + "[" + std::to_string(i) + "]");
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  const Json& document_;
};

}  // namespace dgemma::server::testing_service
