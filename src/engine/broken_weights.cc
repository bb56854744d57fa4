// See broken_weights.h.
#include "engine/broken_weights.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/format.h"
#include "tensor/quant/quant.h"

namespace dgemma::engine {
namespace {

// Values decoded at once: whole blocks of every type.
constexpr uint64_t kChunk = 1 << 16;

/// The first value that is not finite, and where; null where there is none.
std::optional<std::pair<uint64_t, float>> first_broken(const formats::TensorEntry& tensor) {
  std::vector<float> values(kChunk);
  const uint64_t count = tensor.values();
  for (uint64_t first = 0; first < count; first += kChunk) {
    const uint64_t some = std::min(kChunk, count - first);
    tensor::quant::decode(tensor.dtype, tensor.data.data() + *tensor::storage_bytes(tensor.dtype, first), some,
                          values.data());
    for (uint64_t i = 0; i < some; ++i)
      if (!std::isfinite(values[i])) return std::pair(first + i, values[i]);
  }
  return std::nullopt;
}

}  // namespace

Unexpected broken_weights(const formats::Checkpoint& checkpoint) {
  const char* all_finite = ": expected weights that give finite logits, got others. Copy or convert the model again";
  return broken_weights(checkpoint, {ErrorCode::kModelFile, checkpoint.path() + all_finite});
}

Unexpected broken_weights(const formats::Checkpoint& checkpoint, Error otherwise) {
  for (const formats::TensorEntry& tensor : checkpoint.tensors()) {
    if (!tensor::quant::can_decode(tensor.dtype)) continue;
    if (const auto broken = first_broken(tensor))
      return {ErrorCode::kModelFile,
              base::concat(checkpoint.where(tensor), ": expected finite values, got ", broken->second, " as number ",
                           broken->first, ". Copy or convert the file again")};
  }
  return Unexpected(std::move(otherwise));
}

}  // namespace dgemma::engine
