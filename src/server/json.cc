// See json.h.
#include "server/json.h"

#include <array>

#include "base/format.h"
#include "base/utf8.h"

namespace dgemma::server {
namespace {

constexpr int kMostDepth = 64;       // tool schemas nest, but not like this
constexpr int kMostMembers = 512;    // of an object, each of which the library compares with all before it
constexpr size_t kMostReason = 300;  // bytes of the library's words, which have what it met whole

/// What is too much in a text, if anything: nesting of brackets, or colons in one object; meaningful for any bytes.
const char* excess_of(std::string_view text) {
  std::array<int, kMostDepth + 1> members{};  // by depth
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMostDepth) return "nested at most 64 deep, got deeper";
      members[static_cast<size_t>(depth)] = 0;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) break;  // no JSON
    } else if (c == ':' && ++members[static_cast<size_t>(depth)] > kMostMembers) {
      return "with at most 512 members in an object, got more";
    }
  }
  return nullptr;
}

}  // namespace

Result<Json> parse_body(std::string_view body) {
  if (const char* excess = excess_of(body))
    return Unexpected(ErrorCode::kInvalidRequest, base::concat("body: expected JSON ", excess));
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
