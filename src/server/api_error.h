// ApiError: a failed request as a client sees it, in OpenAI's and in Anthropic's form.
//
// Made from an Error of the library: its message begins with the field ("messages[0].role: expected ..."), which
// becomes "param"; its code decides type, code and HTTP status. Test: tests/server/service_test.cc.
#pragma once

#include <string>

#include "dgemma/result.h"
#include "server/json.h"

namespace dgemma::server {

struct ApiError {
  int status = 500;
  std::string type;   ///< "invalid_request_error", "authentication_error", "rate_limit_error", "server_error"
  std::string code;   ///< "invalid_value", "model_not_found", "context_length_exceeded", ...
  std::string param;  ///< the field, "" where none is to blame
  std::string message;

  ApiError() = default;
  explicit ApiError(const Error& error);
  /// One that only HTTP knows: 401, 405, 408, 411, 413, 415, 431.
  ApiError(int http_status, std::string error_code, std::string text);

  /// {"error": {message, type, param, code}}
  Json openai() const;
  /// {"type": "error", "error": {type, message}}
  Json anthropic() const;
};

}  // namespace dgemma::server
