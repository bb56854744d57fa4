// See stop_matcher.h.
#include "server/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace dgemma::server {

std::string StopMatcher::push(std::string_view text) {
  if (matched()) return "";
  held_ += text;
  size_t begin = std::string::npos, end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = stop.empty() ? std::string::npos : held_.find(stop);
    if (at == std::string::npos) continue;
    const size_t stop_end = at + stop.size();
    if (stop_end < end || (stop_end == end && at < begin)) begin = at, end = stop_end, matched_ = &stop;
  }
  if (matched()) return std::exchange(held_, "").substr(0, begin);
  const size_t certain = held_.size() - held_size();
  std::string out = held_.substr(0, certain);
  held_.erase(0, certain);
  return out;
}

std::string StopMatcher::finish() { return matched() ? "" : std::exchange(held_, ""); }

/// Bytes at the end of what is held that may begin a stop string.
size_t StopMatcher::held_size() const {
  size_t longest = 0;
  for (const std::string& stop : stops_)
    for (size_t n = std::min(held_.size(), stop.empty() ? 0 : stop.size() - 1); n > longest; --n)
      if (held_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
  return longest;
}

}  // namespace dgemma::server
