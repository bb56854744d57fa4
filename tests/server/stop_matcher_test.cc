// Cut exactly, however the text arrives.
#include "server/stop_matcher.h"

#include <gtest/gtest.h>

namespace dgemma::server {
namespace {

/// The text that comes through when it arrives in pieces of `size` bytes.
std::string through(const std::vector<std::string>& stops, const std::string& text, size_t size) {
  StopMatcher matcher(stops);
  std::string out;
  for (size_t i = 0; i < text.size(); i += size) out += matcher.push(text.substr(i, size));
  return out + matcher.finish();
}

TEST(StopMatcher, cuts_before_the_stop_string_for_every_way_to_cut_the_input) {
  for (size_t size = 1; size < 20; ++size) {
    EXPECT_EQ(through({"END"}, "one EN two END three", size), "one EN two ") << size;
    EXPECT_EQ(through({"aab"}, "aaab", size), "a") << size;
    EXPECT_EQ(through({"ü"}, "Tür", size), "T") << size;
  }
}

TEST(StopMatcher, the_stop_string_that_is_complete_first_counts) {
  for (size_t size = 1; size < 8; ++size) {
    EXPECT_EQ(through({"abc", "b"}, "xabcx", size), "xa") << size;
    EXPECT_EQ(through({"c", "abc"}, "xabcx", size), "x") << size << ": complete at the same place, the longest";
  }
}

TEST(StopMatcher, gives_back_what_it_held_when_the_text_ends) {
  StopMatcher matcher({"###"});
  EXPECT_EQ(matcher.push("a##"), "a");
  EXPECT_EQ(matcher.finish(), "##");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcher, lets_nothing_through_after_a_match_and_tells_which) {
  StopMatcher matcher({"x", "."});
  EXPECT_EQ(matcher.push("One. Two."), "One");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.stop(), ".");
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, without_stop_strings_everything_comes_through_at_once) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.push("abc"), "abc");
}

}  // namespace
}  // namespace dgemma::server
