// See json_tree.h. Test: tests/text/json_tree_test.cc.
#include "text/json_tree.h"

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/format.h"

namespace dgemma::text {
namespace {

/// Beyond this many members a repeated key is looked for with an index, so that a hostile object costs no n^2.
constexpr size_t kLinearMembers = 16;

class TreeSax final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return leaf(JsonTree::of(JsonTree::Kind::kNull)); }
  bool boolean(bool v) override { return leaf(JsonTree::of(v ? JsonTree::Kind::kTrue : JsonTree::Kind::kFalse)); }
  bool number_integer(number_integer_t v) override { return number(JsonTree::Kind::kInteger, std::to_string(v)); }
  bool number_unsigned(number_unsigned_t v) override { return number(JsonTree::Kind::kInteger, std::to_string(v)); }
  bool number_float(number_float_t, const string_t& s) override {
    const bool integer = s.find_first_of(".eE") == std::string::npos;  // too large for 64 bits
    return number(integer ? JsonTree::Kind::kInteger : JsonTree::Kind::kReal, s);
  }
  bool string(string_t& v) override { return leaf(JsonTree::string(std::move(v))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return nested(builder_.open(JsonTree::Kind::kObject)); }
  bool start_array(std::size_t) override { return nested(builder_.open(JsonTree::Kind::kArray)); }
  bool end_object() override { return builder_.close(), true; }
  bool end_array() override { return builder_.close(), true; }
  bool key(string_t& v) override { return builder_.key(std::move(v)), true; }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error_at_ = position;
    return false;
  }

  JsonTree take() { return builder_.take(); }
  const std::optional<std::string>& repeated() const { return builder_.repeated(); }
  bool too_deep() const { return too_deep_; }
  size_t error_at() const { return error_at_; }

 private:
  bool leaf(JsonTree value) { return nested(builder_.value(std::move(value))); }
  bool number(JsonTree::Kind kind, std::string text) {
    JsonTree tree = JsonTree::of(kind);
    tree.text = std::move(text);
    return leaf(std::move(tree));
  }
  bool nested(bool fits) {
    too_deep_ = !fits;
    return fits;
  }
  JsonTreeBuilder builder_;
  bool too_deep_ = false;
  size_t error_at_ = 0;
};

/// Removes earlier values of repeated keys from an object that was just closed; `repeated` gets the first such key.
void keep_last_of_repeated(JsonTree& object, std::optional<std::string>& repeated) {
  auto& members = object.members;
  if (members.size() < 2) return;
  size_t kept = 0;
  std::unordered_map<std::string_view, size_t> index;
  const bool indexed = members.size() > kLinearMembers;
  if (indexed) index.reserve(members.size());
  std::vector<std::pair<std::string, JsonTree>> unique;
  unique.reserve(members.size());
  for (auto& member : members) {
    size_t at = kept;
    if (indexed) {
      const auto found = index.find(member.first);
      if (found != index.end()) at = found->second;
    } else {
      for (size_t i = 0; i < kept; ++i)
        if (unique[i].first == member.first) at = i;
    }
    if (at < kept) {
      if (!repeated) repeated = member.first;
      unique[at].second = std::move(member.second);
      continue;
    }
    unique.push_back(std::move(member));
    if (indexed) index.emplace(unique.back().first, kept);
    ++kept;
  }
  members = std::move(unique);
}

void write_json(const JsonTree& value, std::string& out) {
  switch (value.kind) {
    case JsonTree::Kind::kNull:
      out += "null";
      return;
    case JsonTree::Kind::kFalse:
      out += "false";
      return;
    case JsonTree::Kind::kTrue:
      out += "true";
      return;
    case JsonTree::Kind::kInteger:
    case JsonTree::Kind::kReal:
      out += value.text;
      return;
    case JsonTree::Kind::kString:
      out += json_string(value.text);
      return;
    case JsonTree::Kind::kArray:
      out += '[';
      for (const JsonTree& item : value.items) {
        if (&item != &value.items.front()) out += ',';
        write_json(item, out);
      }
      out += ']';
      return;
    case JsonTree::Kind::kObject:
      out += '{';
      for (const auto& member : value.members) {
        if (&member != &value.members.front()) out += ',';
        out += json_string(member.first) + ':';
        write_json(member.second, out);
      }
      out += '}';
      return;
  }
}

}  // namespace

JsonTree::JsonTree() = default;
JsonTree::~JsonTree() = default;
JsonTree::JsonTree(const JsonTree&) = default;
JsonTree::JsonTree(JsonTree&&) noexcept = default;
JsonTree& JsonTree::operator=(const JsonTree&) = default;
JsonTree& JsonTree::operator=(JsonTree&&) noexcept = default;

const JsonTree* JsonTree::find(std::string_view key) const {
  for (const auto& member : members)
    if (member.first == key) return &member.second;
  return nullptr;
}

const char* JsonTree::kind_name() const {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kFalse:
    case Kind::kTrue:
      return "a boolean";
    case Kind::kInteger:
      return "an integer";
    case Kind::kReal:
      return "a number with a fraction";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "an array";
    case Kind::kObject:
      return "an object";
  }
  return "";
}

JsonTree JsonTree::string(std::string value) {
  JsonTree tree = of(Kind::kString);
  tree.text = std::move(value);
  return tree;
}

JsonTree JsonTree::of(Kind kind) {
  JsonTree tree;
  tree.kind = kind;
  return tree;
}

void JsonTreeBuilder::attach(JsonTree node) {
  if (open_.empty()) {
    root_ = std::move(node);
  } else if (open_.back().is_array()) {
    open_.back().items.push_back(std::move(node));
  } else {
    open_.back().members.emplace_back(std::move(key_.back()), std::move(node));
  }
}

bool JsonTreeBuilder::value(JsonTree leaf) {
  attach(std::move(leaf));
  return true;
}

bool JsonTreeBuilder::open(JsonTree::Kind kind) {
  if (depth() == JsonTree::kMaxDepth) return false;
  open_.push_back(JsonTree::of(kind));
  key_.emplace_back();
  return true;
}

void JsonTreeBuilder::close() {
  JsonTree node = std::move(open_.back());
  open_.pop_back();
  key_.pop_back();
  if (node.is_object()) keep_last_of_repeated(node, repeated_);
  attach(std::move(node));
}

Result<JsonTree> parse_json(std::string_view text, const std::string& where, ErrorCode code, RepeatedKeys repeated) {
  TreeSax sax;
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)  // nlohmann would take it for the end
    return Unexpected(code, base::concat(where, ": expected JSON, got a zero byte at byte ", zero));
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &sax)) {
    if (repeated == RepeatedKeys::kLastCounts || !sax.repeated()) return sax.take();
    return Unexpected(code, base::concat(where, ": expected each key once in an object, got ",
                                         base::quoted(*sax.repeated()), " twice"));
  }
  if (sax.too_deep()) {
    return Unexpected(
        code, base::concat(where, ": expected JSON nested at most ", JsonTree::kMaxDepth, " levels deep, got more"));
  }
  const size_t at = sax.error_at() > text.size() ? text.size() : sax.error_at() > 0 ? sax.error_at() - 1 : 0;
  return Unexpected(code,
                    base::concat(where, ": expected JSON, got ", base::quoted(text.substr(at), 20), " at byte ", at));
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto b = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (b < 0x20) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\u%04x", b);
      out += hex;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_text(const JsonTree& value) {
  std::string out;
  write_json(value, out);
  return out;
}

}  // namespace dgemma::text
