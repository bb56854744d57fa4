// Who may ask: API keys, and which addresses and names are this machine itself. Test: tests/server/auth_test.cc.
#pragma once

#include <string>
#include <string_view>

namespace dgemma::server {

/// True for what a header can carry as a key: visible ASCII characters, at least one.
bool is_key(std::string_view text);

/// Compares in a time that depends on the lengths only.
bool same_secret(std::string_view a, std::string_view b);

/// The key of an Authorization header ("Bearer KEY"), "" where it has another form.
std::string bearer_key(std::string_view authorization);

/// True for addresses that only this machine reaches: 127.0.0.0/8, ::1, localhost.
bool is_loopback(std::string_view host);

/// The name of a Host header, without the port and an IPv6 address's brackets.
std::string host_name(std::string_view host_header);

}  // namespace dgemma::server
