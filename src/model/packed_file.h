// Packed files: a model whose matrices are stored packed, so that they are used where the file is mapped.
//
// A packed file is a GGUF file with tensors of our own types and the key "dgemma.packed.layout": vectors and the router
// stand under their usual names as they were; a matrix, a stack of experts, or gate and up panel by panel
// in turn is one tensor of shape [panels, superblocks, 1024] (packed_items.cc has the names). Written from a GGUF file
// it has that file's keys; from safetensors it holds the folder's JSON files as texts. No other program reads it, and
// this one reads no other layout than its own: weights are cheap to pack again, and wrong numbers are not.
// Tests: tests/model/packed_file_test.cc; hostile headers: fuzz/gguf_fuzz.cc.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dgemma/options.h"
#include "dgemma/result.h"
#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/weights.h"

namespace dgemma::model {

inline constexpr const char* kPackedLayoutKey = "dgemma.packed.layout";
inline constexpr const char* kPackedVocabularyKey = "dgemma.packed.vocabulary";
/// Of tensor/packed_layout.h and packed_items.cc: another number for every change.
inline constexpr uint32_t kPackedLayout = 1;

/// Is this a packed file? Errors: kModelFile (of another layout).
Result<bool> is_packed_file(const formats::Checkpoint& checkpoint);

/// Points the matrices of `weights`, which have their sizes, into a packed file. `names` hears of each tensor used.
/// Errors: kModelFile (a tensor missing, of another type or shape).
Result<void> bind_packed(const formats::Checkpoint& checkpoint, Weights& weights,
                         const std::function<void(const std::string& name)>& names);

/// Packs a checkpoint to a file, whole or not at all; `type` as in items_to_pack. `texts`: keys and values beyond what
/// a GGUF source has. Takes memory for the largest tensor. Errors: kIo, kModelFile, kOutOfMemory, kUsage (packed
/// already).
Result<void> write_packed_file(const formats::Checkpoint& source, const Config& config,
                               const std::vector<std::pair<std::string, std::string>>& texts, const std::string& path,
                               std::optional<tensor::DType> type, int threads,
                               const std::function<void(const LoadProgress&)>& progress);

}  // namespace dgemma::model
