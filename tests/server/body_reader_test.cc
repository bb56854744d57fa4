// Bodies of requests: chunks, their extensions and trailers, and every way to break them.
#include "server/body_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string_view>

namespace dgemma::server {
namespace {

struct Read {
  std::optional<std::string> body;  ///< nullopt: refused
  std::string left;                 ///< unread
};

/// Reads a chunked body from `bytes`, which come `most` at a time.
Read chunks_of(std::string_view bytes, size_t most = 1000) {
  std::string body;
  const bool sound = read_chunks(
      [&](char* to, size_t size) {
        const size_t count = std::min({size, most, bytes.size()});
        std::memcpy(to, bytes.data(), count);
        bytes.remove_prefix(count);
        return static_cast<long>(count);
      },
      body);
  return {sound ? std::optional(body) : std::nullopt, std::string(bytes)};
}

TEST(BodyReader, puts_chunks_together_and_stops_behind_them) {
  for (const size_t most : {size_t{1}, size_t{3}, size_t{1000}}) {
    const Read read = chunks_of("4\r\nabcd\r\n0A\r\n0123456789\r\n0\r\n\r\nGET /", most);
    EXPECT_EQ(read.body, "abcd0123456789");
    EXPECT_EQ(read.left, "GET /");
  }
}

TEST(BodyReader, a_chunk_larger_than_what_is_taken_at_once_is_whole) {
  const std::string large(100'000, 'a');
  EXPECT_EQ(chunks_of("186a0\r\n" + large + "\r\n0\r\n\r\n", 70'000).body, large);
}

TEST(BodyReader, drops_trailers_and_extensions) {
  const Read read = chunks_of("2;name=\"value\"\r\nab\r\n1 ; x\r\nc\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\nrest");
  EXPECT_EQ(read.body, "abc");
  EXPECT_EQ(read.left, "rest");
}

TEST(BodyReader, refuses_broken_chunks) {
  for (const std::string_view bytes :
       {"\r\n", "x\r\n", "-1\r\na\r\n0\r\n\r\n", "+1\r\na\r\n0\r\n\r\n", "0x1\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n", "1\na\r\n0\r\n\r\n", "1\r\na\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "2\r\na\r\n0\r\n\r\n",
        "1 2\r\na\r\n0\r\n\r\n", "1\r\na\r\n0\r\n\n", "1;\r\r\na\r\n0\r\n\r\n", "10000000000000000\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0\r\nX: 1\n\r\n"})
    EXPECT_FALSE(chunks_of(bytes).body) << bytes;
  EXPECT_FALSE(chunks_of("0\r\n" + std::string(9000, 'a') + "\r\n\r\n").body) << "a trailer without end";
}

TEST(BodyReader, refuses_what_ends_early_at_every_byte) {
  const std::string whole = "4;a\r\nabcd\r\n2\r\nef\r\n0\r\nX: 1\r\n\r\n";
  ASSERT_EQ(chunks_of(whole).body, "abcdef");
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(chunks_of(whole.substr(0, size)).body) << size;
}

}  // namespace
}  // namespace dgemma::server
