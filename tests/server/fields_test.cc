// Requests are read strictly, and each fault names its field.
#include "server/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace dgemma::server {
namespace {

using testing::HasSubstr;

std::string fault_of(const char* json, const std::function<void(Fields&)>& read) {
  Fault fault;
  const Json value = Json::parse(json);
  Fields fields(value, "", fault);
  read(fields);
  fields.finish();
  const auto result = fault.result();
  return result ? "fine" : result.error().message;
}

TEST(Fields, a_fault_says_field_expectation_and_value) {
  EXPECT_EQ(fault_of(R"({"n": 9})", [](Fields& f) { f.whole("n", 1, 8); }),
            "n: expected a whole number from 1 to 8, got 9");
  EXPECT_EQ(fault_of(R"({"n": 1.5})", [](Fields& f) { f.whole("n", 1, 8); }),
            "n: expected a whole number from 1 to 8, got 1.5");
  EXPECT_EQ(fault_of(R"({"n": 8.0})", [](Fields& f) { EXPECT_EQ(f.whole("n", 1, 8), 8); }), "fine");
  EXPECT_EQ(fault_of(R"({"n": 18446744073709551615})", [](Fields& f) { f.whole("n", 1, 8); }),
            "n: expected a whole number from 1 to 8, got 18446744073709551615");
  EXPECT_EQ(fault_of(R"({"t": "hot"})", [](Fields& f) { f.real("t", 0, 2); }),
            "t: expected a number from 0 to 2, got 'hot'");
  EXPECT_EQ(fault_of(R"({"s": {}})", [](Fields& f) { f.flag("s"); }), "s: expected true or false, got an object");
  EXPECT_EQ(fault_of(R"({"w": "c"})", [](Fields& f) { f.word("w", {"a", "b"}); }), "w: expected one of a, b, got 'c'");
}

TEST(Fields, a_field_that_nobody_read_is_a_fault) {
  EXPECT_EQ(fault_of(R"({"temprature": 1})", [](Fields& f) { f.real("temperature", 0, 2); }),
            "temprature: expected a field of this request, got an unknown one");
  EXPECT_THAT(fault_of(R"({"a b": 1})", [](Fields&) {}), HasSubstr("'a b'"));
}

TEST(Fields, null_counts_as_absent_and_the_first_fault_is_kept) {
  EXPECT_EQ(fault_of(R"({"n": null, "s": null})", [](Fields& f) { f.whole("n", 1, 8), f.text("s"); }), "fine");
  EXPECT_THAT(fault_of(R"({"a": 1, "b": 1})", [](Fields& f) { f.text("b"), f.text("a"); }), HasSubstr("b: "));
}

TEST(Fields, an_unsupported_field_may_have_its_neutral_value) {
  const auto read = [](Fields& f) { f.only("top_p", {1}, "not supported"); };
  EXPECT_EQ(fault_of(R"({"top_p": 1.0})", read), "fine");
  EXPECT_EQ(fault_of(R"({"top_p": 0.9})", read), "top_p: not supported");
}

TEST(ParseBody, refuses_what_is_no_json_object) {
  const auto error = [](const std::string& body) {
    const auto json = parse_body(body);
    return json ? std::string("fine") : json.error().message;
  };
  EXPECT_EQ(error(R"({"a": [1, {"b": "]}"}]})"), "fine");
  EXPECT_THAT(error(""), HasSubstr("body: expected JSON"));
  for (const std::string& long_one : {std::string(100000, '9'), '"' + std::string(100000, 'y') + '\n'}) {
    const std::string message = error("{\"a\": " + long_one);
    EXPECT_THAT(message, HasSubstr("body: expected JSON"));
    EXPECT_LT(message.size(), 400u);
  }
  EXPECT_THAT(error("[1]"), HasSubstr("body: expected an object, got array"));
  EXPECT_THAT(error(R"({"a": "\xff"})"), HasSubstr("body: expected JSON"));
  EXPECT_THAT(error(std::string(1000000, '[')), HasSubstr("nested at most 64 deep"));
  EXPECT_THAT(error("]}:" + std::string(1000, ':')), HasSubstr("body: expected JSON"));
  const auto with_members = [](int count) {
    std::string text = R"({"a": [{}, {"::": "::"}], "b": {"m": 0)";
    for (int i = 1; i < count; ++i) text += ", \"" + std::to_string(i) + "\": 0";
    return text + "}}";
  };
  EXPECT_EQ(error(with_members(512)), "fine");
  EXPECT_EQ(error(with_members(513)), "body: expected JSON with at most 512 members in an object, got more");
}

}  // namespace
}  // namespace dgemma::server
