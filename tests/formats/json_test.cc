#include "formats/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dgemma::formats {
namespace {

using ::testing::HasSubstr;

TEST(Json, values_of_all_kinds_come_back) {
  const auto root = parse_json(R"({"a": [1, -2, 2.5, "x", true, null, {"b": {}}], "c": 18446744073709551615})", "f");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->dump(), R"({"a":[1,-2,2.5,"x",true,null,{"b":{}}],"c":18446744073709551615})");
  EXPECT_EQ(parse_json("7", "f").value(), 7);
  EXPECT_EQ(parse_json("[[], [[1]], []]", "f")->dump(), "[[],[[1]],[]]");
}

TEST(Json, hostile_texts_are_errors_with_the_file_in_the_message) {
  const std::string deep = std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']');
  EXPECT_TRUE(parse_json(deep, "f"));
  const struct {
    std::string text, message;
  } cases[] = {
      {"", "expected JSON"},
      {"{", "expected JSON"},
      {"{\"a\": 1} x", "expected JSON"},
      {"{\"a\": 1, \"a\": 2}", "'a' twice"},
      {"[" + deep + "]", "nested at most 64 deep"},
      {std::string(100000, '['), "nested at most 64 deep"},
      {std::string("{}\0{}", 5), "NUL byte at byte 2"},
      {"\"\xFF\"", "expected JSON"},
      {"[1e999]", "expected JSON"},
      {std::string(kMaxJsonBytes + 1, ' '), "at most 4.00 MiB"},
  };
  for (const auto& c : cases) {
    const auto root = parse_json(c.text, "some/config.json");
    ASSERT_FALSE(root) << c.text.substr(0, 40);
    EXPECT_EQ(root.error().code, ErrorCode::kModelFile);
    EXPECT_THAT(root.error().message, HasSubstr("some/config.json: "));
    EXPECT_THAT(root.error().message, HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace dgemma::formats
