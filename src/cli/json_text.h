// JSON as text: one line, any bytes. Test: tests/cli/conversation_test.cc.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace dgemma::cli {

/// Keeps the order in which fields are written.
using Json = nlohmann::ordered_json;

/// One line of JSON with its newline; invalid UTF-8 in strings becomes U+FFFD.
inline std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dgemma::cli
