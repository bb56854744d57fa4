// JSON of requests and responses: parsed with a limit on depth, written with invalid UTF-8 replaced.
//
// nlohmann-json parses without recursion but writes and compares with it, so depth is checked first. Field by field
// reading is fields.h. Test: tests/server/fields_test.cc.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "dgemma/result.h"

namespace dgemma::server {

/// Keeps the order in which fields are written.
using Json = nlohmann::ordered_json;

/// A request's body. Errors: kInvalidRequest (not JSON, not UTF-8, deeper than 64, not an object).
Result<Json> parse_body(std::string_view body);

/// One line.
std::string json_text(const Json& json);

}  // namespace dgemma::server
