// See packed_file.h.
#include "model/packed_file.h"

#include <algorithm>
#include <map>

#include "base/format.h"
#include "base/new_file.h"
#include "formats/gguf_writer.h"
#include "model/names.h"
#include "model/packing.h"

namespace dgemma::model {
namespace {

using formats::TensorEntry;
using tensor::DType;
using tensor::Weight;

/// A tensor that goes to the packed file as it is.
struct Copied {
  std::string name;
  std::vector<uint64_t> shape;
  const TensorEntry* entry;
};

bool stays_as_it_is(const TensorName& name) { return name.use != Use::kMatrix || name.role == Role::kRouter; }

/// Vectors and the router of the source, under their GGUF names.
std::vector<Copied> copied_tensors(const formats::Checkpoint& source, const Config& config) {
  std::map<std::pair<Role, int>, std::string> name_of;
  for (const TensorName& name : gguf_names(config)) name_of[{name.role, name.layer}] = name.names.front();
  std::vector<Copied> copied;
  for (const TensorName& name : source.gguf() != nullptr ? gguf_names(config) : safetensors_names(config)) {
    if (!stays_as_it_is(name)) continue;
    for (const std::string& candidate : name.names) {
      const TensorEntry* entry = source.find(candidate);
      if (entry == nullptr) continue;
      copied.push_back({name_of.at({name.role, name.layer}), name.shape, entry});
      break;
    }
  }
  return copied;
}

Result<void> write_items(const std::vector<PackedItem>& items, const formats::Checkpoint& source,
                         formats::GgufWriter& writer, base::NewFile& file, int threads,
                         const std::function<void(const LoadProgress&)>& progress) {
  LoadProgress done;
  done.total_bytes = bytes_of(items);
  uint64_t largest = 0;
  for (const PackedItem& item : items) largest = std::max(largest, item.bytes());
  DG_TRY_ASSIGN(const base::HugeMemory memory, base::HugeMemory::allocate(largest));
  base::ThreadPool pool(threads);
  for (const PackedItem& item : items) {
    const uint64_t bytes = item.bytes();
    if (const auto packed = pack_item(item, pool, memory.data()); !packed)
      return Unexpected(packed.error().code, base::concat(source.path(), ": ", packed.error().message));
    DG_TRY(writer.write_tensor(file, {memory.data(), bytes}));
    source.release_pages();
    done.done_bytes += bytes;
    if (progress) progress(done);
  }
  return {};
}

}  // namespace

Result<bool> is_packed_file(const formats::Checkpoint& checkpoint) {
  if (checkpoint.gguf() == nullptr) return false;
  DG_TRY_ASSIGN(const auto layout, checkpoint.gguf()->get_optional<int64_t>(kPackedLayoutKey));
  if (!layout) return false;
  if (*layout == kPackedLayout) return true;
  return formats::bad_file(checkpoint.path(), kPackedLayoutKey, std::to_string(kPackedLayout),
                           std::to_string(*layout) +
                               ", the layout of another version. Make the file again with this "
                               "program's dgemma quantize");
}

Result<void> bind_packed(const formats::Checkpoint& checkpoint, Weights& weights,
                         const std::function<void(const std::string& name)>& names) {
  if (checkpoint.find("output.weight") == nullptr) weights.vocabulary.head = {};
  const bool tied = is_tied(weights.vocabulary);
  const auto together = [&](const Weight&, const Weight&, const std::string& name) {
    return checkpoint.find(name) != nullptr;
  };
  for (PackedItem& item : packed_items(weights, together)) {
    const TensorEntry* entry = checkpoint.find(item.name);
    if (entry == nullptr)
      return formats::bad_file(checkpoint.path(), item.name, "a packed tensor", "none of that name");
    if (!tensor::is_packed(entry->dtype))
      return formats::bad_file(checkpoint.path(), item.name, "a packed type",
                               std::string(tensor::info(entry->dtype).name));
    if (entry->shape != item.shape())
      return formats::bad_file(checkpoint.path(), item.name, "shape " + formats::shape_text(item.shape()),
                               formats::shape_text(entry->shape));
    item.type = entry->dtype;
    item.point_to(entry->data.data());
    weights.resident_bytes += entry->data.size();
    if (names) names(item.name);
  }
  finish_packed(weights, tied);
  return {};
}

Result<void> write_packed_file(const formats::Checkpoint& source, const Config& config,
                               const std::vector<std::pair<std::string, std::string>>& texts, const std::string& path,
                               std::optional<DType> type, int threads,
                               const std::function<void(const LoadProgress&)>& progress) {
  DG_TRY_ASSIGN(const bool packed, is_packed_file(source));
  if (packed) return Unexpected(ErrorCode::kUsage, source.path() + ": expected a model to pack, got a packed one");
  DG_TRY_ASSIGN(Weights weights, bind_weights(source, config, {}));
  const std::vector<PackedItem> items = items_to_pack(weights, type);
  const std::vector<Copied> copied = copied_tensors(source, config);

  formats::GgufWriter writer;
  if (source.gguf() != nullptr)
    for (const formats::GgufKey& key : source.gguf()->keys()) writer.copy(key);
  for (const auto& [key, text] : texts) writer.add(key, text);
  writer.add(kPackedLayoutKey, kPackedLayout);
  writer.add(kPackedVocabularyKey, static_cast<uint32_t>(config.vocab));
  for (const Copied& c : copied) writer.add_tensor(c.name, c.entry->dtype, c.shape, c.entry->data.size());
  for (const PackedItem& item : items) writer.add_tensor(item.name, item.type, item.shape(), item.bytes());
  DG_TRY_ASSIGN(base::NewFile file, base::NewFile::create(path));
  DG_TRY(writer.write_header(file));
  for (const Copied& c : copied) DG_TRY(writer.write_tensor(file, c.entry->data));
  DG_TRY(write_items(items, source, writer, file, threads, progress));
  return file.commit();
}

}  // namespace dgemma::model
