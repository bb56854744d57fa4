// See json.h.
#include "server/json.h"

#include "base/format.h"

namespace dgemma::server {
namespace {

constexpr int kMostDepth = 64;  // tool schemas nest, but not like this

/// The deepest nesting of brackets outside strings; meaningful for any bytes.
int depth_of(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<Json> parse_body(std::string_view body) {
  if (depth_of(body) > kMostDepth)
    return Unexpected(ErrorCode::kInvalidRequest,
                      base::concat("body: expected JSON nested at most ", kMostDepth, " deep, got deeper"));
  try {
    Json json = Json::parse(body);
    if (!json.is_object())
      return Unexpected(ErrorCode::kInvalidRequest, base::concat("body: expected an object, got ", json.type_name()));
    return json;
  } catch (const Json::exception& error) {  // the library's only way to say where
    const std::string text = error.what();
    const size_t reason = text.find("] ");
    return Unexpected(ErrorCode::kInvalidRequest,
                      "body: expected JSON, got something else: " + text.substr(reason == text.npos ? 0 : reason + 2));
  }
}

std::string json_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace dgemma::server
