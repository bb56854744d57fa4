// See json.h.
#include "formats/json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/mapped_file.h"
#include "formats/tensor_table.h"

namespace dgemma::formats {
namespace {

using nlohmann::json;

/// Builds the tree event by event. The library's own builder knows neither a depth limit nor repeated keys.
class TreeBuilder final : public json::json_sax_t {
 public:
  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(v); }
  bool number_unsigned(number_unsigned_t v) override { return put(v); }
  bool number_float(number_float_t v, const string_t&) override { return put(v); }
  bool string(string_t& v) override { return put(std::move(v)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return open_.pop_back(), true; }
  bool end_array() override { return open_.pop_back(), true; }
  bool key(string_t& name) override {
    const auto [place, is_new] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!is_new) fault_ = {"each key once in an object", base::quoted(name) + " twice"};
    slot_ = &place->second;
    return is_new;
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    fault_ = {"JSON", base::concat("something else at byte ", position)};
    return false;
  }

  json take() { return std::move(root_); }
  /// Expected and got.
  const std::pair<std::string, std::string>& fault() const { return fault_; }

 private:
  json* put(json&& value, int) {
    if (open_.empty()) return &(root_ = std::move(value));
    if (open_.back()->is_object()) return &(*slot_ = std::move(value));
    auto& items = open_.back()->get_ref<json::array_t&>();
    items.push_back(std::move(value));
    return &items.back();
  }
  template <class T>
  bool put(T&& value) {
    put(json(std::forward<T>(value)), 0);
    return true;
  }
  /// Only the last value of an array is ever open, so pointers into it stay good.
  bool open(json&& value) {
    if (open_.size() == static_cast<size_t>(kMaxJsonDepth)) {
      fault_ = {base::concat("JSON nested at most ", kMaxJsonDepth, " deep"), "more"};
      return false;
    }
    open_.push_back(put(std::move(value), 0));
    return true;
  }

  json root_;
  std::vector<json*> open_;
  json* slot_ = nullptr;  ///< where the value of the last key goes
  std::pair<std::string, std::string> fault_;
};

}  // namespace

Result<json> parse_json(std::string_view text, const std::string& path) {
  if (text.size() > kMaxJsonBytes)
    return bad_file(path, "", "at most " + base::bytes_text(kMaxJsonBytes), base::bytes_text(text.size()));
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) return bad_file(path, "", "JSON", base::concat("a NUL byte at byte ", nul));
  TreeBuilder builder;
  if (json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
  return bad_file(path, "", builder.fault().first, builder.fault().second);
}

Result<json> read_json_file(const std::string& path) {
  DG_TRY_ASSIGN(const base::MappedFile file, base::MappedFile::open(path));
  const auto bytes = file.bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

}  // namespace dgemma::formats
