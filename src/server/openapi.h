// The OpenAPI document of the service, for GET /openapi.json. Test: tests/server/service_test.cc checks responses of
// the service against it.
#pragma once

#include <string>

namespace dgemma::server {

/// OpenAPI 3.1 as JSON text.
std::string openapi_text();

}  // namespace dgemma::server
