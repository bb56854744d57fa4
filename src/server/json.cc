// See json.h.
#include "server/json.h"

#include "base/format.h"
#include "base/utf8.h"

namespace dgemma::server {
namespace {

constexpr int kMostDepth = 64;       // tool schemas nest, but not like this
constexpr size_t kMostReason = 300;  // bytes of the library's words, which have what it met whole

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
    std::string_view reason = error.what();
    if (const size_t name = reason.find("] "); name != reason.npos) reason.remove_prefix(name + 2);
    return Unexpected(ErrorCode::kInvalidRequest, base::concat("body: expected JSON, got something else: ",
                                                               base::utf8_repair(reason.substr(0, kMostReason)),
                                                               reason.size() > kMostReason ? "..." : ""));
  }
}

std::string json_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace dgemma::server
