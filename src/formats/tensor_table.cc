// See tensor_table.h.
#include "formats/tensor_table.h"

#include <algorithm>
#include <numeric>

#include "base/format.h"

namespace dgemma::formats {

Unexpected bad_file(const std::string& path, std::string_view what, std::string_view expected, std::string_view got) {
  const char* separator = what.empty() ? "" : ": ";
  return {ErrorCode::kModelFile, base::concat(path, separator, what, ": expected ", expected, ", got ", got)};
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::string shape_text(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

uint64_t TensorEntry::values() const {
  return std::accumulate(shape.begin(), shape.end(), uint64_t{1}, std::multiplies<>());
}

Result<uint64_t> tensor_bytes(tensor::DType dtype, std::span<const uint64_t> shape, const std::string& path,
                              std::string_view name) {
  const tensor::DTypeInfo& type = tensor::info(dtype);
  if (shape.size() > kMaxDimensions)
    return bad_file(path, name, base::concat("at most ", kMaxDimensions, " dimensions"), std::to_string(shape.size()));
  uint64_t values = 1;
  bool overflow = false;
  for (const uint64_t size : shape) overflow |= __builtin_mul_overflow(values, size, &values);
  if (overflow) return bad_file(path, name, "a size that fits 64 bits", shape_text(shape));
  const uint64_t row = shape.empty() ? 1 : shape.back();
  if (row % type.block_values != 0)
    return bad_file(path, name, base::concat("rows of whole ", type.name, " blocks of ", type.block_values, " values"),
                    shape_text(shape));
  const auto bytes = tensor::storage_bytes(dtype, values);
  if (!bytes) return bad_file(path, name, "a size that fits 64 bits", base::concat(type.name, " ", shape_text(shape)));
  return *bytes;
}

Result<TensorTable> TensorTable::make(std::vector<TensorEntry> entries, const std::string& path) {
  TensorTable table;
  table.entries_ = std::move(entries);
  const auto& all = table.entries_;
  table.by_name_.resize(all.size());
  std::iota(table.by_name_.begin(), table.by_name_.end(), 0u);
  std::sort(table.by_name_.begin(), table.by_name_.end(),
            [&](uint32_t a, uint32_t b) { return all[a].name < all[b].name; });
  const auto same = [&](uint32_t a, uint32_t b) { return all[a].name == all[b].name; };
  const auto twice = std::adjacent_find(table.by_name_.begin(), table.by_name_.end(), same);
  if (twice != table.by_name_.end()) return bad_file(path, base::quoted(all[*twice].name), "each tensor once", "two");
  return table;
}

const TensorEntry* TensorTable::find(std::string_view name) const {
  const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                   [&](uint32_t i, std::string_view n) { return entries_[i].name < n; });
  return at != by_name_.end() && entries_[*at].name == name ? &entries_[*at] : nullptr;
}

}  // namespace dgemma::formats
