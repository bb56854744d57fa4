// StopMatcher: lets text through up to the first stop string, however the text arrives in pieces.
//
// Text that may be the beginning of a stop string is held back until more of it comes or the answer ends. Of several
// stop strings the one that is complete first counts, and of those complete at the same place the longest: so the cut
// depends on the text only, not on its pieces. Test: tests/server/stop_matcher_test.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dgemma::server {

class StopMatcher {
 public:
  /// Empty stop strings match nothing.
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Text that is now certain. After a match: nothing.
  std::string push(std::string_view text);
  /// The end of the text: what was held back.
  std::string finish();
  bool matched() const { return matched_ != nullptr; }
  /// The stop string that was found; "" without one.
  std::string stop() const { return matched_ == nullptr ? "" : *matched_; }

 private:
  size_t held_size() const;

  std::vector<std::string> stops_;
  std::string held_;
  const std::string* matched_ = nullptr;
};

}  // namespace dgemma::server
