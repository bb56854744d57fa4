// PackedItem: a piece of the packed weights: what is packed together and what it is called in a packed file.
//
// Internal to packing.cc and packed_file.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/weights.h"
#include "tensor/packed.h"

namespace dgemma::model {

/// A matrix, or a stack of `count` matrices of `rows` rows each, or two of these whose panels alternate.
struct PackedItem {
  std::string name;                              ///< of the tensor in a packed file
  tensor::DType type = tensor::DType::kPacked8;  ///< what it becomes, or is
  tensor::Weight* first = nullptr;
  tensor::Weight* second = nullptr;  ///< null: one matrix only
  size_t count = 1;
  size_t rows = 0;
  size_t stride = 0;  ///< rows from one matrix of the stack to the next, before it is packed

  size_t parts() const { return second != nullptr ? 2 : 1; }
  size_t panels() const { return count * tensor::panels_for(rows); }
  /// The tensor's shape in a packed file: panels, superblocks, the values of a superblock.
  std::vector<uint64_t> shape() const {
    return {panels() * parts(), tensor::superblocks_for(first->cols), tensor::kPanelRows * tensor::kSuperblock};
  }
  uint64_t bytes() const { return uint64_t{panels()} * parts() * tensor::panel_bytes(type, first->cols); }
  /// Makes the weights views of packed data of bytes() bytes.
  void point_to(const std::byte* data) const;
};

/// Do these two matrices, which a packed file would call `name` together, lie panel by panel in turn?
using AlternateTest =
    std::function<bool(const tensor::Weight& gate, const tensor::Weight& up, const std::string& name)>;

/// Every matrix that is packed, in the order of a packed file. Only sizes and types of the weights are looked at, and
/// whether head and embedding are the same.
std::vector<PackedItem> packed_items(Weights& weights, const AlternateTest& alternate);

/// After all items are packed: the strides between experts, and a tied head.
void finish_packed(Weights& weights, bool tied);
bool is_tied(const ops::VocabularyWeights& vocabulary);

}  // namespace dgemma::model
