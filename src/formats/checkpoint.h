// Checkpoint: the tensors of a model on disk, whatever it is made of: the one way in for the model room.
//
//     a folder   model.safetensors, else model.safetensors.index.json and its shards, else its only .safetensors or .gguf
//     a file     .safetensors or GGUF, told apart by the first bytes
//
// Files are mapped, tensors are views. Knows nothing of names or configs. Source of the index: transformers'
// save_pretrained. Test: tests/formats/checkpoint_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "dgemma/result.h"
#include "formats/gguf.h"
#include "formats/tensor_table.h"

namespace dgemma::formats {

/// Whether a file of a model is there. What is there in its place and is no file (a folder, a pipe, a link that leads
/// nowhere) would leave the model without it in silence. Errors: kModelFile.
Result<bool> is_there(const std::string& path);

enum class Format { kSafetensors, kGguf };

class Checkpoint {
 public:
  /// Opens and checks all headers; touches no tensor data. Errors: kNotFound (nothing there, a shard missing), kIo,
  /// kModelFile (a broken header, an index that contradicts its shards).
  static Result<Checkpoint> open(const std::string& path);

  Format format() const { return gguf_ ? Format::kGguf : Format::kSafetensors; }
  const std::string& path() const { return path_; }      ///< as given to open
  const std::string& folder() const { return folder_; }  ///< where config.json and tokenizer.json would be
  const std::vector<std::string>& files() const { return files_; }
  uint64_t file_bytes() const { return file_bytes_; }  ///< sum over files()

  const std::vector<TensorEntry>& tensors() const;
  /// The tensor of that name, or null.
  const TensorEntry* find(std::string_view name) const;
  /// "FILE: NAME", the start of every message about this tensor.
  std::string where(const TensorEntry& tensor) const { return files_[tensor.file] + ": " + tensor.name; }
  /// The GGUF file with its metadata; null for safetensors.
  const GgufFile* gguf() const { return gguf_ ? &*gguf_ : nullptr; }
  /// Tells the system that mapped pages need not stay resident: they are read again where they are used again.
  void release_pages() const;
  /// __metadata__ of the safetensors files; empty for GGUF.
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }

 private:
  Checkpoint() = default;
  static Result<Checkpoint> open_gguf(const std::string& file);
  static Result<Checkpoint> open_safetensors(const std::vector<std::string>& files);

  std::string path_, folder_;
  std::vector<std::string> files_;
  uint64_t file_bytes_ = 0;
  std::vector<base::MappedFile> mappings_;
  TensorTable table_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::optional<GgufFile> gguf_;
};

}  // namespace dgemma::formats
