// Reads tokenizer.json into a TokenizerSpec (tokenizer_spec.h).
//
// The file is 33 MB for Gemma, nearly all of it two lists: model.vocab and model.merges. Those stream past a SAX
// handler into flat arrays; the small rest becomes a JsonTree. Nothing is allocated by a number in the file: ids must
// count 0, 1, 2 ... without gaps, so their size is that of the list. Test: tests/text/tokenizer_json_test.cc,
// fuzz/tokenizer_fuzz.cc.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "text/json_tree.h"
#include "text/tokenizer_spec.h"

namespace dgemma::text {
namespace {

/// A piece of an arena.
struct Slice {
  size_t begin = 0;
  size_t length = 0;
};

/// What the stream leaves behind.
struct RawFile {
  JsonTree rest;
  std::string arena;  // texts of vocabulary and merges
  struct VocabEntry {
    Slice text;
    uint64_t id;
  };
  std::vector<VocabEntry> vocab;
  struct RawMerge {
    Slice left, right;
  };
  std::vector<RawMerge> merges;
  bool has_vocab = false, has_merges = false;

  std::string_view at(Slice slice) const { return std::string_view(arena).substr(slice.begin, slice.length); }
};

class FileSax final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit FileSax(size_t file_bytes) { raw_.arena.reserve(file_bytes / 2); }

  bool null() override { return scalar(JsonTree::of(JsonTree::Kind::kNull)); }
  bool boolean(bool v) override { return scalar(JsonTree::of(v ? JsonTree::Kind::kTrue : JsonTree::Kind::kFalse)); }
  bool number_integer(number_integer_t v) override { return number(JsonTree::Kind::kInteger, std::to_string(v)); }
  bool number_unsigned(number_unsigned_t v) override {
    if (place_ == Place::kVocab) {
      raw_.vocab.push_back({pending_, v});
      return true;
    }
    return number(JsonTree::Kind::kInteger, std::to_string(v));
  }
  bool number_float(number_float_t, const string_t& s) override { return number(JsonTree::Kind::kReal, s); }
  bool binary(binary_t&) override { return false; }

  bool string(string_t& v) override {
    if (place_ == Place::kMerges) return legacy_merge(v);
    if (place_ == Place::kMergePair) {
      if (pair_size_ < 2) pair_[pair_size_] = keep(v);
      ++pair_size_;
      return true;
    }
    return scalar(JsonTree::string(std::move(v)));
  }

  bool key(string_t& v) override {
    if (place_ == Place::kVocab) {
      pending_ = keep(v);
      return true;
    }
    if (builder_.depth() == 1) in_model_ = v == "model";
    if (builder_.depth() == 2) model_key_ = v;
    builder_.key(std::move(v));
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ != Place::kTree) return wrong_kind("an object");
    if (at_model_key("vocab")) {
      if (std::exchange(raw_.has_vocab, true)) return fail("model.vocab: expected once, got it twice");
      place_ = Place::kVocab;
      return true;
    }
    return open(JsonTree::Kind::kObject);
  }
  bool end_object() override {
    if (place_ == Place::kVocab) {
      place_ = Place::kTree;
    } else {
      builder_.close();
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ == Place::kMerges) {
      place_ = Place::kMergePair;
      pair_size_ = 0;
      return true;
    }
    if (place_ != Place::kTree) return wrong_kind("an array");
    if (at_model_key("merges")) {
      if (std::exchange(raw_.has_merges, true)) return fail("model.merges: expected once, got it twice");
      place_ = Place::kMerges;
      return true;
    }
    return open(JsonTree::Kind::kArray);
  }
  bool end_array() override {
    if (place_ == Place::kMergePair) {
      if (pair_size_ != 2) return fail(base::concat(merge_name(), ": expected two texts, got ", pair_size_));
      raw_.merges.push_back({pair_[0], pair_[1]});
      place_ = Place::kMerges;
    } else if (place_ == Place::kMerges) {
      place_ = Place::kTree;
    } else {
      builder_.close();
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    if (error_.empty()) error_ = base::concat("expected JSON, got a fault at byte ", position);
    return false;
  }

  const std::string& error() const { return error_; }
  RawFile take() {
    raw_.rest = builder_.take();
    return std::move(raw_);
  }

 private:
  enum class Place { kTree, kVocab, kMerges, kMergePair };

  bool at_model_key(std::string_view name) const { return builder_.depth() == 2 && in_model_ && model_key_ == name; }
  bool fail(std::string message) {
    error_ = std::move(message);
    return false;
  }
  bool open(JsonTree::Kind kind) {
    if (builder_.open(kind)) return true;
    return fail(base::concat("expected JSON nested at most ", JsonTree::kMaxDepth, " levels deep, got more"));
  }
  bool scalar(JsonTree value) {
    if (place_ != Place::kTree) return wrong_kind(value.kind_name());
    return builder_.value(std::move(value));
  }
  bool number(JsonTree::Kind kind, std::string text) {
    JsonTree value = JsonTree::of(kind);
    value.text = std::move(text);
    if (place_ == Place::kVocab) return wrong_kind(value.text);
    return scalar(std::move(value));
  }
  bool wrong_kind(std::string_view got) {
    if (place_ == Place::kVocab) {
      return fail(
          base::concat("model.vocab[", base::quoted(raw_.at(pending_)), "]: expected an id (0, 1, ...), got ", got));
    }
    return fail(base::concat(merge_name(), ": expected a string or two strings, got ", got));
  }
  std::string merge_name() const { return base::concat("model.merges[", raw_.merges.size(), "]"); }
  Slice keep(std::string_view text) {
    const Slice slice{raw_.arena.size(), text.size()};
    raw_.arena.append(text);
    return slice;
  }
  /// "left right"; a first line "#version: ..." is a comment.
  bool legacy_merge(std::string_view text) {
    if (text.starts_with("#version")) return true;
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
      return fail(base::concat(merge_name(), ": expected 'LEFT RIGHT', got ", base::quoted(text)));
    const Slice whole = keep(text);
    raw_.merges.push_back({{whole.begin, space}, {whole.begin + space + 1, text.size() - space - 1}});
    return true;
  }

  RawFile raw_;
  JsonTreeBuilder builder_;
  Place place_ = Place::kTree;
  bool in_model_ = false;
  std::string model_key_;
  Slice pending_;
  Slice pair_[2];
  size_t pair_size_ = 0;
  std::string error_;
};

/// Turns a RawFile into a TokenizerSpec, field by field; the first fault ends it.
class SpecReader {
 public:
  SpecReader(RawFile raw, const std::string& path) : raw_(std::move(raw)), path_(path) {}

  Result<TokenizerSpec> read() {
    if (!raw_.rest.is_object()) return fault("top level", "an object", raw_.rest.kind_name());
    DG_TRY(read_model_options());
    DG_TRY(read_vocab());
    DG_TRY(read_unk());
    DG_TRY(read_merges());
    spec_.bpe.vocab_size = spec_.vocabulary.size();
    DG_TRY(read_added());
    DG_TRY(read_normalizer());
    DG_TRY(read_pre_tokenizer());
    DG_TRY(read_decoder());
    spec_.bos_id = spec_.vocabulary.find("<bos>");
    return std::move(spec_);
  }

 private:
  Unexpected fault(const std::string& field, const std::string& expected, const std::string& got) const {
    return Unexpected(ErrorCode::kModelFile, base::concat(path_, ": ", field, ": expected ", expected, ", got ", got));
  }
  static std::string got(const JsonTree& value) {
    return value.is_string() ? base::quoted(value.text) : value.is_number() ? value.text : value.kind_name();
  }
  /// A member that may be absent or null.
  static const JsonTree* given(const JsonTree& object, std::string_view key) {
    const JsonTree* value = object.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  Result<bool> flag(const JsonTree& object, const std::string& where, const char* key, bool absent) const {
    const JsonTree* value = given(object, key);
    if (value == nullptr) return absent;
    if (!value->is_bool()) return fault(where + "." + key, "true or false", got(*value));
    return value->is_true();
  }
  Result<std::string> text(const JsonTree& object, const std::string& where, const char* key) const {
    const JsonTree* value = object.find(key);
    if (value == nullptr) return fault(where + "." + key, "a string", "nothing");
    if (!value->is_string()) return fault(where + "." + key, "a string", got(*value));
    return value->text;
  }

  Result<void> read_model_options() {
    const JsonTree* model = raw_.rest.find("model");
    if (model == nullptr || !model->is_object())
      return fault("model", "an object", model == nullptr ? "nothing" : got(*model));
    model_ = model;
    if (const JsonTree* type = given(*model, "type"); type != nullptr && type->text != "BPE")
      return fault("model.type", "'BPE'", got(*type));
    if (const JsonTree* dropout = given(*model, "dropout");
        dropout != nullptr && !(dropout->is_number() && dropout->text.find_first_not_of("0.") == std::string::npos))
      return fault("model.dropout", "null", got(*dropout));
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const JsonTree* value = given(*model, key);
      if (value != nullptr && !(value->is_string() && value->text.empty()))
        return fault(std::string("model.") + key, "null", got(*value));
    }
    DG_TRY_ASSIGN(spec_.bpe.byte_fallback, flag(*model, "model", "byte_fallback", false));
    DG_TRY_ASSIGN(spec_.bpe.fuse_unk, flag(*model, "model", "fuse_unk", false));
    DG_TRY_ASSIGN(spec_.bpe.ignore_merges, flag(*model, "model", "ignore_merges", false));
    if (!raw_.has_vocab) return fault("model.vocab", "an object of token ids", "nothing");
    if (!raw_.has_merges) return fault("model.merges", "an array", "nothing");
    return {};
  }

  Result<void> read_vocab() {
    const size_t count = raw_.vocab.size();
    if (count == 0) return fault("model.vocab", "tokens", "none");
    std::vector<const RawFile::VocabEntry*> by_id(count, nullptr);
    size_t bytes = 0;
    for (const RawFile::VocabEntry& entry : raw_.vocab) {
      if (entry.id >= count) {
        return fault(base::concat("model.vocab[", base::quoted(raw_.at(entry.text)), "]"),
                     base::concat("an id of 0 to ", count - 1, " (", count, " tokens without gaps)"),
                     std::to_string(entry.id));
      }
      if (by_id[entry.id] != nullptr) {
        return fault(base::concat("model.vocab[", base::quoted(raw_.at(entry.text)), "]"), "an id of its own",
                     base::concat(entry.id, ", which ", base::quoted(raw_.at(by_id[entry.id]->text)), " has"));
      }
      by_id[entry.id] = &entry;
      bytes += entry.text.length;
    }
    spec_.vocabulary.reserve(count + 16, bytes + 256);
    for (const RawFile::VocabEntry* entry : by_id) {
      if (spec_.vocabulary.add(raw_.at(entry->text)) == Vocabulary::kNone)
        return fault("model.vocab", "each token once", base::quoted(raw_.at(entry->text)) + " twice");
    }
    return {};
  }

  Result<void> read_added() {
    const JsonTree* list = given(raw_.rest, "added_tokens");
    if (list == nullptr) return {};
    if (!list->is_array()) return fault("added_tokens", "an array", got(*list));
    for (size_t i = 0; i < list->items.size(); ++i) {
      DG_TRY_ASSIGN(AddedToken token, read_added_token(list->items[i], base::concat("added_tokens[", i, "]")));
      spec_.added.push_back(std::move(token));
    }
    std::vector<size_t> order(spec_.added.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return spec_.added[a].id < spec_.added[b].id; });
    int32_t previous = -1;
    for (const size_t i : order) {
      const AddedToken& token = spec_.added[i];
      const std::string where = base::concat("added_tokens[", i, "] ", base::quoted(token.content));
      if (std::exchange(previous, token.id) == token.id)
        return fault(where, "an id of its own", base::concat(token.id, " twice"));
      const int32_t known = spec_.vocabulary.find(token.content);
      if (known == token.id) continue;
      if (known != Vocabulary::kNone)
        return fault(where, base::concat("the vocabulary's id ", known), std::to_string(token.id));
      if (token.id != spec_.vocabulary.size())
        return fault(where, base::concat("the next free id ", spec_.vocabulary.size()), std::to_string(token.id));
      spec_.vocabulary.add(token.content);
    }
    return {};
  }

  Result<AddedToken> read_added_token(const JsonTree& entry, const std::string& where) const {
    if (!entry.is_object()) return fault(where, "an object", got(entry));
    AddedToken token;
    const JsonTree* id = entry.find("id");
    if (id == nullptr || !id->is(JsonTree::Kind::kInteger))
      return fault(where + ".id", "an integer", id == nullptr ? "nothing" : got(*id));
    constexpr size_t kMaxDigits = 9;  // of an int32_t
    if (id->text.size() > kMaxDigits || id->text[0] == '-')
      return fault(where + ".id", "an id of 0 to 999999999", id->text);
    for (const char digit : id->text) token.id = token.id * 10 + (digit - '0');
    DG_TRY_ASSIGN(token.content, text(entry, where, "content"));
    if (token.content.empty() || token.content.size() > AddedTokenMatcher::kMaxBytes)
      return fault(where + ".content", base::concat("1 to ", AddedTokenMatcher::kMaxBytes, " bytes"),
                   std::to_string(token.content.size()));
    DG_TRY_ASSIGN(token.special, flag(entry, where, "special", false));
    DG_TRY_ASSIGN(token.normalized, flag(entry, where, "normalized", !token.special));
    DG_TRY_ASSIGN(token.lstrip, flag(entry, where, "lstrip", false));
    DG_TRY_ASSIGN(token.rstrip, flag(entry, where, "rstrip", false));
    DG_TRY_ASSIGN(token.single_word, flag(entry, where, "single_word", false));
    return token;
  }

  Result<void> read_unk() {
    const JsonTree* unk = given(*model_, "unk_token");
    if (unk == nullptr) return {};
    if (!unk->is_string()) return fault("model.unk_token", "a string", got(*unk));
    spec_.bpe.unk_id = spec_.vocabulary.find(unk->text);
    if (spec_.bpe.unk_id == Vocabulary::kNone) return fault("model.unk_token", "a token of the vocabulary", got(*unk));
    return {};
  }

  Result<void> read_merges() {
    spec_.merges.reserve(raw_.merges.size());
    std::string joined;
    for (size_t i = 0; i < raw_.merges.size(); ++i) {
      const std::string_view left = raw_.at(raw_.merges[i].left), right = raw_.at(raw_.merges[i].right);
      joined.assign(left).append(right);
      for (const std::string_view part : {left, right, std::string_view(joined)}) {
        if (spec_.vocabulary.find(part) == Vocabulary::kNone)
          return fault(base::concat("model.merges[", i, "]"), "tokens of the vocabulary", base::quoted(part));
      }
      spec_.merges.push_back(
          {spec_.vocabulary.find(left), spec_.vocabulary.find(right), spec_.vocabulary.find(joined)});
    }
    return {};
  }

  /// {"type": "Replace", "pattern": {"String": "..."}, "content": "..."}
  Result<Replacement> read_replacement(const JsonTree& step, const std::string& where) const {
    Replacement replacement;
    DG_TRY_ASSIGN(replacement.pattern, read_pattern(step, where));
    DG_TRY_ASSIGN(replacement.content, text(step, where, "content"));
    return replacement;
  }
  Result<std::string> read_pattern(const JsonTree& step, const std::string& where) const {
    const JsonTree* pattern = step.find("pattern");
    if (pattern == nullptr || !pattern->is_object() || pattern->find("String") == nullptr)
      return fault(where + ".pattern", "{\"String\": ...}", pattern == nullptr ? "nothing" : json_text(*pattern));
    DG_TRY_ASSIGN(std::string literal, text(*pattern, where + ".pattern", "String"));
    if (literal.empty()) return fault(where + ".pattern.String", "text", "''");
    return literal;
  }
  /// The steps of a component: itself, or those of a Sequence under `key`.
  Result<std::vector<const JsonTree*>> steps_of(const std::string& where, const char* key) const {
    std::vector<const JsonTree*> steps;
    const JsonTree* component = given(raw_.rest, where);
    if (component == nullptr) return steps;
    if (!component->is_object()) return fault(where, "an object or null", got(*component));
    DG_TRY_ASSIGN(const std::string type, text(*component, where, "type"));
    if (type != "Sequence") {
      steps.push_back(component);
      return steps;
    }
    const JsonTree* list = component->find(key);
    if (list == nullptr || !list->is_array())
      return fault(where + "." + key, "an array", list == nullptr ? "nothing" : got(*list));
    for (const JsonTree& step : list->items) {
      if (!step.is_object()) return fault(where + "." + key, "objects", got(step));
      steps.push_back(&step);
    }
    return steps;
  }

  Result<void> read_normalizer() {
    DG_TRY_ASSIGN(const auto steps, steps_of("normalizer", "normalizers"));
    for (const JsonTree* step : steps) {
      DG_TRY_ASSIGN(const std::string type, text(*step, "normalizer", "type"));
      if (type != "Replace") return fault("normalizer.type", "'Replace'", base::quoted(type));
      DG_TRY_ASSIGN(Replacement replacement, read_replacement(*step, "normalizer"));
      spec_.normalizer.push_back(std::move(replacement));
    }
    return {};
  }

  Result<void> read_pre_tokenizer() {
    DG_TRY_ASSIGN(const auto steps, steps_of("pre_tokenizer", "pretokenizers"));
    for (const JsonTree* step : steps) {
      DG_TRY_ASSIGN(const std::string type, text(*step, "pre_tokenizer", "type"));
      if (type != "Split") return fault("pre_tokenizer.type", "'Split'", base::quoted(type));
      DG_TRY_ASSIGN(const std::string behavior, text(*step, "pre_tokenizer", "behavior"));
      if (behavior != "MergedWithPrevious")
        return fault("pre_tokenizer.behavior", "'MergedWithPrevious'", base::quoted(behavior));
      DG_TRY_ASSIGN(const bool invert, flag(*step, "pre_tokenizer", "invert", false));
      if (invert) return fault("pre_tokenizer.invert", "false", "true");
      if (!spec_.split_after.empty()) return fault("pre_tokenizer", "one Split", "several");
      DG_TRY_ASSIGN(spec_.split_after, read_pattern(*step, "pre_tokenizer"));
    }
    return {};
  }

  Result<void> read_decoder() {
    DG_TRY_ASSIGN(const auto steps, steps_of("decoder", "decoders"));
    if (steps.empty()) return fault("decoder", "a Sequence of Replace, ByteFallback and Fuse", "none");
    spec_.decode_bytes = false;
    bool fused = false;
    for (const JsonTree* step : steps) {
      DG_TRY_ASSIGN(const std::string type, text(*step, "decoder", "type"));
      if (type == "Fuse") {
        fused = true;
      } else if (type == "ByteFallback" && !fused) {
        spec_.decode_bytes = true;
      } else if (type == "Replace" && !fused && !spec_.decode_bytes) {
        DG_TRY_ASSIGN(Replacement replacement, read_replacement(*step, "decoder"));
        spec_.decoder.push_back(std::move(replacement));
      } else {
        return fault("decoder.type", "Replace, then ByteFallback, then Fuse", base::quoted(type));
      }
    }
    return {};
  }

  RawFile raw_;
  const std::string& path_;
  const JsonTree* model_ = nullptr;
  TokenizerSpec spec_;
};

}  // namespace

Result<TokenizerSpec> read_tokenizer_json(std::string_view bytes, const std::string& path) {
  if (const size_t zero = bytes.find('\0'); zero != std::string_view::npos)  // nlohmann would take it for the end
    return Unexpected(ErrorCode::kModelFile, base::concat(path, ": expected JSON, got a zero byte at byte ", zero));
  FileSax sax(bytes.size());
  if (!nlohmann::json::sax_parse(bytes.begin(), bytes.end(), &sax))
    return Unexpected(ErrorCode::kModelFile, base::concat(path, ": ", sax.error()));
  return SpecReader(sax.take(), path).read();
}

}  // namespace dgemma::text
