// See api_error.h.
#include "server/api_error.h"

#include <utility>

namespace dgemma::server {
namespace {

/// "messages[0].role" of "messages[0].role: expected ...", "" where the message does not begin with a field.
std::string field_of(const std::string& message) {
  const size_t end = message.find(": ");
  if (end == std::string::npos || end == 0) return "";
  for (const char c : message.substr(0, end)) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c != '_' && c != '.' && c != '[' && c != ']') return "";
  }
  return message.substr(0, end);
}

const char* type_of(int status) {
  if (status == 401 || status == 403) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

const char* code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kUnsupported:
      return "unsupported_value";
    case ErrorCode::kContextFull:
      return "context_length_exceeded";
    case ErrorCode::kBusy:
      return "queue_full";
    case ErrorCode::kUsage:
    case ErrorCode::kInvalidRequest:
      return "invalid_value";
    default:
      return error_name(code);
  }
}

const char* anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

ApiError::ApiError(const Error& error)
    : status(http_status(error.code)),
      code(code_of(error.code)),
      param(field_of(error.message)),
      message(error.message) {
  type = type_of(status);
  if (error.code == ErrorCode::kNotFound && param == "model") code = "model_not_found";
}

ApiError::ApiError(int http_status, std::string error_code, std::string text)
    : status(http_status), type(type_of(http_status)), code(std::move(error_code)), message(std::move(text)) {}

Json ApiError::openai() const {
  return {
      {"error",
       {{"message", message}, {"type", type}, {"param", param.empty() ? Json(nullptr) : Json(param)}, {"code", code}}}};
}

Json ApiError::anthropic() const {
  return {{"type", "error"}, {"error", {{"type", anthropic_type(status)}, {"message", message}}}};
}

}  // namespace dgemma::server
