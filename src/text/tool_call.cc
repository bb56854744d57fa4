// Reads one tool call as Gemma writes it, `call:NAME{key:<|"|>text<|"|>,list:[1,2],on:true}`, into JSON arguments.
//
// Strings stand between quote markers and hold anything but one; keys are bare. A model also writes plain JSON at
// times, so JSON strings are read too, and a bare word that is no JSON value counts as a string. Anything else is no
// call. Test: tests/text/answer_parser_test.cc.
#include <cstddef>
#include <cstdint>

#include "text/answer_parser.h"
#include "text/json_tree.h"
#include "text/unicode.h"

namespace dgemma::text {
namespace {

class ArgumentReader {
 public:
  explicit ArgumentReader(std::string_view text) : text_(text) {}

  /// The whole text as one object.
  std::optional<std::string> read() {
    if (!object(0)) return std::nullopt;
    skip_space();
    if (!text_.empty()) return std::nullopt;
    return std::move(out_);
  }

 private:
  bool take(std::string_view token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t' || text_[0] == '\r'))
      text_.remove_prefix(1);
  }

  bool object(int depth) {
    if (depth == JsonTree::kMaxDepth || !take("{")) return false;
    out_ += '{';
    skip_space();
    for (bool first = true; !take("}"); first = false) {
      if (!first && !take(",")) return false;
      out_ += first ? "" : ",";
      skip_space();
      if (!key()) return false;
      out_ += ':';
      skip_space();
      if (!value(depth + 1)) return false;
      skip_space();
    }
    out_ += '}';
    return true;
  }

  bool array(int depth) {
    if (depth == JsonTree::kMaxDepth || !take("[")) return false;
    out_ += '[';
    skip_space();
    for (bool first = true; !take("]"); first = false) {
      if (!first && !take(",")) return false;
      out_ += first ? "" : ",";
      skip_space();
      if (!value(depth + 1)) return false;
      skip_space();
    }
    out_ += ']';
    return true;
  }

  bool key() {
    if (text_.starts_with(kQuote) || text_.starts_with('"')) {
      if (!quoted()) return false;
      skip_space();
      return take(":");
    }
    const size_t end = text_.find_first_of(":{}[],\n");
    if (end == std::string_view::npos || text_[end] != ':') return false;
    const std::string_view name = python_strip(text_.substr(0, end));
    if (name.empty()) return false;
    out_ += json_string(name);
    text_.remove_prefix(end + 1);
    return true;
  }

  bool value(int depth) {
    if (text_.starts_with('{')) return object(depth);
    if (text_.starts_with('[')) return array(depth);
    if (text_.starts_with(kQuote) || text_.starts_with('"')) return quoted();
    const size_t end = text_.find_first_of(",{}[]");
    if (end == std::string_view::npos) return false;
    const std::string_view word = python_strip(text_.substr(0, end));
    if (word.empty() || word.find(kQuote) != std::string_view::npos) return false;
    text_.remove_prefix(end);
    if (word == "None") {  // how the template writes a null
      out_ += "null";
    } else if (const auto json = parse_json(word, "", ErrorCode::kInvalidRequest)) {
      out_ += word;
    } else {
      out_ += json_string(word);
    }
    return true;
  }

  bool quoted() {
    if (take(kQuote)) {
      const size_t end = text_.find(kQuote);
      if (end == std::string_view::npos) return false;
      out_ += json_string(text_.substr(0, end));
      text_.remove_prefix(end + kQuote.size());
      return true;
    }
    size_t end = 1;  // a JSON string
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return false;
    const std::string_view literal = text_.substr(0, end + 1);
    if (!parse_json(literal, "", ErrorCode::kInvalidRequest)) return false;
    out_ += literal;
    text_.remove_prefix(end + 1);
    return true;
  }

  std::string_view text_;
  std::string out_;
};

}  // namespace

std::optional<ToolCall> parse_tool_call(std::string_view text) {
  constexpr std::string_view kCall = "call:";
  text = python_strip(text);
  if (!text.starts_with(kCall)) return std::nullopt;
  text.remove_prefix(kCall.size());
  const size_t brace = text.find('{');
  if (brace == std::string_view::npos) return std::nullopt;
  const std::string_view name = python_strip(text.substr(0, brace));
  if (name.empty() || name.find_first_of(" \n\t<>") != std::string_view::npos) return std::nullopt;
  auto arguments = ArgumentReader(text.substr(brace)).read();
  if (!arguments) return std::nullopt;
  return ToolCall{std::string(name), std::move(*arguments)};
}

}  // namespace dgemma::text
