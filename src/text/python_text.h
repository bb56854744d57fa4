// What Python's str(), repr() and truth make of JSON values, for the places where the chat template shows a value as it
// is. Not a Python interpreter: values come from JSON, so there are seven types. Test: tests/text/python_text_test.cc.
#pragma once

#include <string>
#include <string_view>

#include "text/json_tree.h"

namespace dgemma::text {

/// str(value): a string as it is, "None", "True", "1", "0.1", "['a', 1]", "{'k': None}".
std::string python_str(const JsonTree& value);
/// repr(value): as above, strings quoted and escaped.
std::string python_repr(const JsonTree& value);
/// bool(value): null, false, zero and everything empty are false.
bool python_true(const JsonTree& value);
/// repr() of a float: the shortest digits that read back equal, an exponent from 1e16 up and below 1e-4.
std::string python_float(double value);

}  // namespace dgemma::text
