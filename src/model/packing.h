// Packing: bound weights brought into the layout of the integer products (tensor/packed_layout.h), for --compute int8.
//
// Every matrix is packed but the router's, which is small and decides: projections, MLPs, experts, self-conditioning,
// the table. Gate and up go panel by panel in turn, so what one output needs is one stream. In memory one allocation
// holds all, planned before it is taken; a packed file holds the same bytes and is used where it is mapped
// (packed_file.h). Tests: tests/model/packing_test.cc.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "base/thread_pool.h"
#include "dgemma/options.h"
#include "dgemma/result.h"
#include "model/packed_items.h"
#include "model/weights.h"

namespace dgemma::model {

/// Says of every matrix that would be packed that products with it are computed in bf16, for --compute bf16; the
/// matrices stay where and as they are, packed ones too.
void multiply_in_bf16(Weights& weights);

/// Whether what pack_weights takes fits into `available` bytes. Errors: kOutOfMemory (how much, what for, what takes
/// none, and how large a file of 4 bits would be).
Result<void> check_packing(Weights& weights, uint64_t available);

/// Packs bound weights. What they were bound to is not read any more afterwards, but for vectors and the router; the
/// callback hears after each matrix, bytes of the packed form. Weights of a packed file stay as they are. Errors:
/// kOutOfMemory (how much, what for), kModelFile (a value that is not finite, or too large for an f16 scale).
Result<void> pack_weights(Weights& weights, int threads, const std::function<void(const LoadProgress&)>& progress);

/// The items of weights that are not packed yet, of the type that is wanted or tensor::packed_type(): gate and up
/// alternate where they become the same type. The table of tokens and the head stay at that where 4 bits are wanted, as
/// in published files: they are read whole anyway, and their errors are seen in every row.
std::vector<PackedItem> items_to_pack(Weights& weights, std::optional<tensor::DType> wanted);
uint64_t bytes_of(std::span<const PackedItem> items);
/// Packs one item to `out`. Errors: kModelFile.
Result<void> pack_item(const PackedItem& item, base::ThreadPool& pool, std::byte* out);

}  // namespace dgemma::model
