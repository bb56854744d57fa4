// Names for responses, tool calls and requests: 96 random bits as text. Not secrets.
#pragma once

#include <string>

namespace dgemma::server {

/// 24 hexadecimal digits. Any thread.
std::string random_id();

}  // namespace dgemma::server
