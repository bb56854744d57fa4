// Keys and addresses.
#include "server/auth.h"

#include <gtest/gtest.h>

namespace dgemma::server {
namespace {

TEST(Auth, secrets_are_the_same_only_when_every_byte_is) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const char* other : {"", "ab", "abd", "xbc", "abcabc", "abca"}) EXPECT_FALSE(same_secret(other, "abc")) << other;
  EXPECT_FALSE(same_secret("abc", ""));
}

TEST(Auth, a_key_is_what_a_header_can_carry) {
  EXPECT_TRUE(is_key("sk-a_b.c~!"));
  for (const char* text : {"", " ", "a ", " a", "a b", "a\n", "\xc3\xa9", "\x7f"}) EXPECT_FALSE(is_key(text)) << text;
  EXPECT_FALSE(is_key(std::string_view("a\0", 2)));
}

TEST(Auth, a_key_comes_as_bearer) {
  EXPECT_EQ(bearer_key("Bearer k"), "k");
  EXPECT_EQ(bearer_key("bearer k l"), "k l");
  EXPECT_EQ(bearer_key("Basic k"), "");
  EXPECT_EQ(bearer_key("Bearer "), "");
  EXPECT_EQ(bearer_key(""), "");
}

TEST(Auth, loopback_is_this_machine_only) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "localhost"}) EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "localhost.example", ""})
    EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(Auth, a_host_header_without_its_port) {
  EXPECT_EQ(host_name("localhost:8080"), "localhost");
  EXPECT_EQ(host_name("localhost"), "localhost");
  EXPECT_EQ(host_name("[::1]:8080"), "::1");
}

}  // namespace
}  // namespace dgemma::server
