// Python's str(), repr() and truth (src/text/python_text.h); expected values are Python 3.11's.
#include "text/python_text.h"

#include <gtest/gtest.h>

namespace dgemma::text {
namespace {

std::string shown(std::string_view json) {
  const auto tree = parse_json(json, "text", ErrorCode::kInvalidRequest);
  return tree ? python_str(*tree) : "error: " + tree.error().message;
}

TEST(PythonText, writes_floats_as_repr_does) {
  EXPECT_EQ(python_float(0.1), "0.1");
  EXPECT_EQ(python_float(1e16), "1e+16");
  EXPECT_EQ(python_float(1e15), "1000000000000000.0");
  EXPECT_EQ(python_float(123456789.125), "123456789.125");
  EXPECT_EQ(python_float(0.0001), "0.0001");
  EXPECT_EQ(python_float(0.00001234), "1.234e-05");
  EXPECT_EQ(python_float(-0.0), "-0.0");
  EXPECT_EQ(python_float(1.7976931348623157e308), "1.7976931348623157e+308");
  EXPECT_EQ(python_float(5e-324), "5e-324");
}

TEST(PythonText, writes_values_as_str_and_repr_do) {
  EXPECT_EQ(shown(R"("a'b")"), "a'b");
  EXPECT_EQ(shown("[null, true, false, 1, 2.0, -0, 99999999999999999999]"),
            "[None, True, False, 1, 2.0, 0, 99999999999999999999]");
  EXPECT_EQ(shown(R"(["it's", "\"", "'\"", "\\\n\t\r\u0001\u007f\u00a0\u200b\ue000", "\u00e9\ud83d\ude00"])"),
            R"(["it's", '"', '\'"', '\\\n\t\r\x01\x7f\xa0\u200b\ue000', 'é😀'])");
  EXPECT_EQ(shown(R"({"k": {"x": []}, "": "v"})"), "{'k': {'x': []}, '': 'v'}");
}

TEST(PythonText, knows_what_is_true) {
  for (const char* json : {"null", "false", "0", "-0", "0.0", "-0.0", "\"\"", "[]", "{}"})
    EXPECT_FALSE(python_true(*parse_json(json, "", ErrorCode::kInvalidRequest))) << json;
  for (const char* json : {"true", "1", "0.5", "\" \"", "[0]", "{\"\":0}", "99999999999999999999"})
    EXPECT_TRUE(python_true(*parse_json(json, "", ErrorCode::kInvalidRequest))) << json;
}

}  // namespace
}  // namespace dgemma::text
