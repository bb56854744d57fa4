// JsonTree: a JSON value as it was written: members in their order, numbers as their text.
//
// nlohmann_json does the parsing (its SAX interface); this keeps what its own value type drops and the chat template
// shows: integers of any size, and whether a number was written as an integer. Depth is limited, keys are unique (the
// last value of a repeated key counts, at the place of the first, as in Python's dict). Not for files of megabytes of
// tokens: tokenizer_json.cc streams those past it. Test: tests/text/json_tree_test.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dgemma/result.h"

namespace dgemma::text {

struct JsonTree {
  enum class Kind { kNull, kFalse, kTrue, kInteger, kReal, kString, kArray, kObject };
  /// Deeper nesting is refused: what walks a tree may recurse.
  static constexpr int kMaxDepth = 100;

  JsonTree();  // the six are defined where the members' type is whole: clang 14 needs it
  ~JsonTree();
  JsonTree(const JsonTree&);
  JsonTree(JsonTree&&) noexcept;
  JsonTree& operator=(const JsonTree&);
  JsonTree& operator=(JsonTree&&) noexcept;

  Kind kind = Kind::kNull;
  std::string text;  ///< of a string its value (valid UTF-8), of a number its digits as written
  std::vector<JsonTree> items;
  std::vector<std::pair<std::string, JsonTree>> members;

  bool is(Kind k) const { return kind == k; }
  bool is_null() const { return kind == Kind::kNull; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_object() const { return kind == Kind::kObject; }
  bool is_bool() const { return kind == Kind::kTrue || kind == Kind::kFalse; }
  bool is_true() const { return kind == Kind::kTrue; }
  bool is_number() const { return kind == Kind::kInteger || kind == Kind::kReal; }

  /// The member of that name, or null; null for anything but an object.
  const JsonTree* find(std::string_view key) const;
  /// "an object", "a string", ...: for messages.
  const char* kind_name() const;

  static JsonTree string(std::string value);
  static JsonTree array() { return of(Kind::kArray); }
  static JsonTree of(Kind kind);
};

/// What becomes of a key that stands twice in one object: the last value counts, or the text is refused.
enum class RepeatedKeys { kLastCounts, kRefused };

/// Parses one JSON text. `where` names it in messages. Errors: `code`, with the byte where it stops or the repeated
/// key.
Result<JsonTree> parse_json(std::string_view text, const std::string& where, ErrorCode code,
                            RepeatedKeys repeated = RepeatedKeys::kLastCounts);

/// The tree as compact JSON text, numbers as they were written.
std::string json_text(const JsonTree& value);
/// A string as a JSON string literal. Requires valid UTF-8.
std::string json_string(std::string_view text);

/// Builds a tree out of SAX events; the streaming readers use it for the small parts of their input.
class JsonTreeBuilder {
 public:
  /// An event; false when the tree would be deeper than JsonTree::kMaxDepth.
  bool value(JsonTree leaf);
  bool open(JsonTree::Kind kind);
  void close();
  void key(std::string name) { key_.back() = std::move(name); }
  int depth() const { return static_cast<int>(open_.size()); }
  JsonTree take() { return std::move(root_); }
  /// The first key that stood twice in one object.
  const std::optional<std::string>& repeated() const { return repeated_; }

 private:
  void attach(JsonTree node);
  JsonTree root_;
  std::vector<JsonTree> open_;
  std::optional<std::string> repeated_;
  std::vector<std::string> key_;  // the member that comes next, one for each open node
};

}  // namespace dgemma::text
