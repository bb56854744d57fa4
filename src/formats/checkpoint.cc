// See checkpoint.h.
#include "formats/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "base/format.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace dgemma::formats {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

/// What a folder or file name leads to: the files to map, in order.
struct Found {
  std::vector<std::string> files;
  std::map<std::string, std::string> shard_of;  ///< tensor name to file, where an index says it
  std::string index;                            ///< path of the index; empty: none
};

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// A shard is a file beside its index, nothing else.
bool is_plain_file_name(const std::string& name) {
  return is_plain_name(name) && name.find_first_of("/\\") == name.npos && name != "." && name != "..";
}

Result<Found> read_index(const fs::path& folder) {
  Found found;
  found.index = (folder / kIndexFile).string();
  DG_TRY_ASSIGN(const nlohmann::json root, read_json_file(found.index));
  const auto map = root.is_object() ? root.find("weight_map") : root.end();
  if (map == root.end() || !map->is_object())
    return bad_file(found.index, "weight_map", "an object of tensor and file names", "none");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>()))
      return bad_file(found.index, base::quoted(tensor), "the name of a file in the same folder",
                      shard.is_string() ? base::quoted(shard.get_ref<const std::string&>()) : shard.type_name());
    const std::string file = (folder / shard.get_ref<const std::string&>()).string();
    found.shard_of[tensor] = file;
    shards.insert(file);
  }
  if (shards.empty()) return bad_file(found.index, "weight_map", "at least one tensor", "none");
  found.files.assign(shards.begin(), shards.end());
  return found;
}

/// The only .safetensors or .gguf file of a folder that has none of the usual names.
Result<Found> find_only_file(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error, ignored;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if ((extension == ".safetensors" || extension == ".gguf") && !fs::is_directory(it->path(), ignored))
      names.push_back(it->path().string());
  }
  if (error)
    return Unexpected(ErrorCode::kIo, base::concat(folder.string(), ": cannot read the folder: ", error.message()));
  if (names.size() == 1) return Found{names, {}, {}};
  std::sort(names.begin(), names.end());
  const std::string expected = base::concat(folder.string(), ": expected ", kSingleFile, ", ", kIndexFile,
                                            " or one .safetensors or .gguf file, got ");
  if (names.empty()) return Unexpected(ErrorCode::kNotFound, expected + "none of them");
  return Unexpected(ErrorCode::kModelFile, base::concat(expected, names.size(), " files, such as ", names[0], " and ",
                                                        names[1], ". Name one of them."));
}

/// A file that is named by itself: not a shard that an index beside it names with others.
Result<Found> check_whole(const fs::path& file) {
  Found found{{file.string()}, {}, {}};
  if (!is_file(file)) return found;  // opening it says why
  DG_TRY_ASSIGN(const bool indexed, is_there((file.parent_path() / kIndexFile).string()));
  if (!indexed) return found;
  const Result<Found> index = read_index(file.parent_path());
  if (!index || index->files.size() < 2 || std::ranges::find(index->files, file.string()) == index->files.end())
    return found;
  return bad_file(file.string(), "", "a whole model",
                  base::concat("one of ", index->files.size(), " parts. Name the folder instead"));
}

Result<Found> find_files(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return check_whole(path);
  const fs::path folder(path);
  DG_TRY_ASSIGN(const bool single, is_there((folder / kSingleFile).string()));
  if (single) return Found{{(folder / kSingleFile).string()}, {}, {}};
  DG_TRY_ASSIGN(const bool indexed, is_there((folder / kIndexFile).string()));
  return indexed ? read_index(folder) : find_only_file(folder);
}

/// The index and the shards must name the same tensors.
Result<void> check_index(const Found& found, const Checkpoint& checkpoint) {
  if (found.index.empty()) return {};
  for (const auto& [name, file] : found.shard_of) {
    const TensorEntry* tensor = checkpoint.find(name);
    if (tensor == nullptr) return bad_file(found.index, base::quoted(name), "a tensor of " + file, "none of that name");
    if (checkpoint.files()[tensor->file] != file)
      return bad_file(found.index, name, "the file that holds it, " + checkpoint.files()[tensor->file], file);
  }
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    if (!found.shard_of.contains(tensor.name))
      return bad_file(checkpoint.files()[tensor.file], tensor.name, "only tensors of " + found.index,
                      "one that it does not name");
  }
  return {};
}

}  // namespace

Result<bool> is_there(const std::string& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::regular) return true;
  if (type == fs::file_type::none) return bad_file(path, "", "a file", error.message());  // loops of links, permission
  if (type != fs::file_type::not_found)
    return bad_file(path, "", "a file", type == fs::file_type::directory ? "a folder" : "a pipe or a device");
  if (fs::symlink_status(path, error).type() != fs::file_type::symlink) return false;
  return bad_file(path, "", "a file", "a link that leads nowhere");
}

Result<Checkpoint> Checkpoint::open(const std::string& path) {
  DG_TRY_ASSIGN(const Found found, find_files(path));
  DG_TRY_ASSIGN(base::MappedFile first, base::MappedFile::open(found.files.front()));
  const bool gguf = found.files.size() == 1 && looks_like_gguf(first.bytes());
  DG_TRY_ASSIGN(Checkpoint checkpoint, gguf ? open_gguf(found.files.front()) : open_safetensors(found.files));
  DG_TRY(check_index(found, checkpoint));
  checkpoint.path_ = path;
  const fs::path folder = fs::path(found.files.front()).parent_path();
  checkpoint.folder_ = folder.empty() ? fs::path(".").string() : folder.string();
  return checkpoint;
}

Result<Checkpoint> Checkpoint::open_gguf(const std::string& file) {
  Checkpoint checkpoint;
  DG_TRY_ASSIGN(checkpoint.gguf_, GgufFile::open(file));
  checkpoint.files_ = {file};
  checkpoint.file_bytes_ = checkpoint.gguf_->file_bytes();
  return checkpoint;
}

Result<Checkpoint> Checkpoint::open_safetensors(const std::vector<std::string>& files) {
  Checkpoint checkpoint;
  std::vector<TensorEntry> all;
  for (const std::string& file : files) {
    DG_TRY_ASSIGN(base::MappedFile mapping, base::MappedFile::open(file));
    DG_TRY_ASSIGN(Safetensors shard, parse_safetensors(mapping.bytes(), file));
    for (const TensorEntry& entry : shard.tensors.entries()) {
      all.push_back(entry);
      all.back().file = static_cast<uint32_t>(checkpoint.files_.size());
    }
    for (auto& pair : shard.metadata) checkpoint.metadata_.push_back(std::move(pair));
    checkpoint.files_.push_back(file);
    checkpoint.file_bytes_ += mapping.bytes().size();
    checkpoint.mappings_.push_back(std::move(mapping));
  }
  DG_TRY_ASSIGN(checkpoint.table_,
                TensorTable::make(std::move(all), files.size() == 1 ? files[0] : "the model's files"));
  return checkpoint;
}

void Checkpoint::release_pages() const {
  for (const base::MappedFile& mapping : mappings_) mapping.release_pages();
  if (gguf_) gguf_->release_pages();
}

const std::vector<TensorEntry>& Checkpoint::tensors() const { return gguf_ ? gguf_->tensors() : table_.entries(); }

const TensorEntry* Checkpoint::find(std::string_view name) const {
  return gguf_ ? gguf_->find_tensor(name) : table_.find(name);
}

}  // namespace dgemma::formats
