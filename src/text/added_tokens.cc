// See added_tokens.h.
#include "text/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/unicode.h"

namespace dgemma::text {
namespace {

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_regex_word(base::utf8_code_point(text.substr(base::utf8_last(text))));
}

bool starts_with_word(std::string_view text) { return !text.empty() && is_regex_word(base::utf8_code_point(text)); }

/// Where the white space at the end of `text` begins.
size_t trailing_space(std::string_view text) {
  while (!text.empty()) {
    const size_t at = base::utf8_last(text);
    if (!is_regex_space(base::utf8_code_point(text.substr(at)))) break;
    text = text.substr(0, at);
  }
  return text.size();
}

size_t leading_space(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && is_regex_space(base::utf8_code_point(text.substr(n)))) n += base::utf8_length(text[n]);
  return n;
}

}  // namespace

int32_t AddedTokenMatcher::child_of(int32_t node, char byte) const {
  int32_t child = nodes_[static_cast<size_t>(node)].child;
  while (child >= 0 && nodes_[static_cast<size_t>(child)].byte != byte)
    child = nodes_[static_cast<size_t>(child)].sibling;
  return child;
}

void AddedTokenMatcher::add(const AddedToken& token, std::string_view pattern) {
  int32_t node = -1;
  for (size_t i = 0; i < pattern.size(); ++i) {
    int32_t& root = roots_[static_cast<unsigned char>(pattern[0])];
    int32_t next = i == 0 ? root : child_of(node, pattern[i]);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({-1, i == 0 ? -1 : nodes_[static_cast<size_t>(node)].child, -1, pattern[i]});
      if (i == 0) {
        root = next;
      } else {
        nodes_[static_cast<size_t>(node)].child = next;
      }
    }
    node = next;
  }
  if (node < 0 || nodes_[static_cast<size_t>(node)].token >= 0) return;  // the first of two equal patterns counts
  nodes_[static_cast<size_t>(node)].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back({token.id, token.lstrip, token.rstrip, token.single_word});
}

AddedTokenMatcher::Match AddedTokenMatcher::longest_at(std::string_view text) const {
  Match best;
  int32_t node = roots_[static_cast<unsigned char>(text[0])];
  for (size_t length = 1; node >= 0; ++length) {
    if (nodes_[static_cast<size_t>(node)].token >= 0) best = {nodes_[static_cast<size_t>(node)].token, length};
    if (length == text.size()) break;
    node = child_of(node, text[length]);
  }
  return best;
}

std::vector<AddedTokenMatcher::Piece> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<Piece> pieces;
  size_t done = 0;  // where the last match ended
  for (size_t at = 0; at < text.size();) {
    const Match match = longest_at(text.substr(at));
    if (match.token < 0) {
      ++at;
      continue;
    }
    const Token& token = tokens_[static_cast<size_t>(match.token)];
    size_t start = at, stop = at + match.length;
    at = stop;
    if (token.single_word && (ends_with_word(text.substr(0, start)) || starts_with_word(text.substr(stop)))) continue;
    if (token.lstrip) start = std::max(trailing_space(text.substr(0, start)), done);
    if (token.rstrip) stop += leading_space(text.substr(stop));
    if (start >= stop) continue;  // wholly within what an earlier match took in
    // A match within the white space that an earlier one took in still counts, and `done` may step back: the package
    // does so too.
    if (done < start) pieces.push_back({-1, text.substr(done, start - done)});
    pieces.push_back({token.id, text.substr(start, stop - start)});
    done = stop;
  }
  if (done < text.size()) pieces.push_back({-1, text.substr(done)});
  return pieces;
}

}  // namespace dgemma::text
