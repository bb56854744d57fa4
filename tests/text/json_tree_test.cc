// JsonTree (src/text/json_tree.h).
#include "text/json_tree.h"

#include <gtest/gtest.h>

namespace dgemma::text {
namespace {

std::string round_trip(std::string_view text) {
  const auto tree = parse_json(text, "text", ErrorCode::kInvalidRequest);
  return tree ? json_text(*tree) : "error: " + tree.error().message;
}

TEST(JsonTree, keeps_order_and_numbers_as_written) {
  EXPECT_EQ(
      round_trip(R"({"b": 1, "a": [1.50, 1e5, -0, 123456789012345678901234567890, true, null, "x\n\u0001\"\\"]})"),
      R"({"b":1,"a":[1.50,1e5,0,123456789012345678901234567890,true,null,"x\n\u0001\"\\"]})");
}

TEST(JsonTree, keeps_the_last_value_of_a_repeated_key_at_its_first_place) {
  EXPECT_EQ(round_trip(R"({"a": 1, "b": 2, "a": 3})"), R"({"a":3,"b":2})");
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i % 50) + "\":" + std::to_string(i) + ",";
  const auto tree = parse_json(many + "\"z\":0}", "text", ErrorCode::kInvalidRequest);
  ASSERT_TRUE(tree);
  ASSERT_EQ(tree->members.size(), 51u);
  EXPECT_EQ(tree->members[0].second.text, "50");
}

TEST(JsonTree, refuses_what_is_not_json) {
  EXPECT_EQ(round_trip("{\"a\": 1"), "error: text: expected JSON, got '' at byte 7");
  EXPECT_EQ(round_trip("{'a': 1}"), "error: text: expected JSON, got '\\x27a\\x27: 1}' at byte 1");
  EXPECT_EQ(round_trip("[1e999]").substr(0, 6), "error:");
  EXPECT_EQ(round_trip("[\"\xFF\"]").substr(0, 6), "error:");
  EXPECT_EQ(round_trip("").substr(0, 6), "error:");
  EXPECT_EQ(round_trip(std::string_view("[1]\0rest", 8)), "error: text: expected JSON, got a zero byte at byte 3");
  EXPECT_EQ(round_trip(std::string(1000000, '[')),
            "error: text: expected JSON nested at most 100 levels deep, got more");
}

TEST(JsonTree, finds_members_of_objects_only) {
  const auto tree = parse_json(R"({"a": [1]})", "text", ErrorCode::kInvalidRequest);
  ASSERT_TRUE(tree);
  ASSERT_NE(tree->find("a"), nullptr);
  EXPECT_EQ(tree->find("b"), nullptr);
  EXPECT_EQ(tree->find("a")->find("a"), nullptr);
}

}  // namespace
}  // namespace dgemma::text
