// See packing.h.
#include "model/packing.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/memory.h"
#include "tensor/quant/quant.h"

namespace dgemma::model {

using tensor::DType;
using tensor::Weight;

namespace {

/// What is wrong with an item that pack_panel() refused: a number that is not finite, which no precision takes, or else
/// one that is too large for the integers' scales, which the others take.
std::string why_not_packed(const PackedItem& item) {
  float largest = 0;
  for (const Weight* w : {item.first, item.second}) {
    if (w == nullptr) continue;
    std::vector<float> values(w->cols);
    for (size_t row = 0; row < w->rows; ++row) {
      tensor::quant::decode(w->dtype, w->row(row), w->cols, values.data());
      for (const float value : values) {
        if (!std::isfinite(value))
          return base::concat(item.name, ": expected finite values, got ", value, ". Copy or convert the file again");
        largest = std::max(largest, std::fabs(value));
      }
    }
  }
  return base::concat(item.name, ": expected values below ", item.type == DType::kPacked8 ? "8e6" : "5e5",
                      " in magnitude, as int8 can hold, got ", largest, ". --compute f32 or bf16 takes them");
}

}  // namespace

std::vector<PackedItem> items_to_pack(Weights& weights, std::optional<DType> wanted) {
  const auto type_of = [&](const Weight& w) {
    const bool table = &w == &weights.vocabulary.embedding || &w == &weights.vocabulary.head;
    return wanted && !(table && wanted == DType::kPacked4) ? *wanted : tensor::packed_type(w.dtype);
  };
  const auto together = [&](const Weight& gate, const Weight& up, const std::string&) {
    return type_of(gate) == type_of(up);
  };
  std::vector<PackedItem> items = packed_items(weights, together);
  for (PackedItem& item : items) item.type = type_of(*item.first);
  return items;
}

uint64_t bytes_of(std::span<const PackedItem> items) {
  uint64_t sum = 0;
  for (const PackedItem& item : items) sum += item.bytes();
  return sum;
}

Result<void> pack_item(const PackedItem& item, base::ThreadPool& pool, std::byte* out) {
  const size_t panel = tensor::panel_bytes(item.type, item.first->cols), each = tensor::panels_for(item.rows);
  const Weight* const weights[2] = {item.first, item.second};
  std::atomic<bool> good{true};
  pool.run(item.panels(), [&](size_t index, int) {
    for (size_t part = 0; part < item.parts(); ++part) {
      const Weight matrix = weights[part]->row_range(index / each * item.stride, item.rows);
      std::byte* to = out + (index * item.parts() + part) * panel;
      if (!tensor::pack_panel(matrix, item.type, index % each * tensor::kPanelRows, to))
        good.store(false, std::memory_order_relaxed);
    }
  });
  if (good.load()) return {};
  return Unexpected(ErrorCode::kModelFile, why_not_packed(item));
}

void multiply_in_bf16(Weights& weights) {
  const bool tied = is_tied(weights.vocabulary);
  for (const PackedItem& item : items_to_pack(weights, {}))
    for (Weight* w : {item.first, item.second})
      if (w != nullptr) w->bf16_products = true;
  if (tied) weights.vocabulary.head = weights.vocabulary.embedding;
}

Result<void> check_packing(Weights& weights, uint64_t available) {
  const uint64_t needed = weights.vocabulary.embedding.packed() ? 0 : bytes_of(items_to_pack(weights, {}));
  if (needed <= available) return {};
  return Unexpected(
      ErrorCode::kOutOfMemory,
      base::concat("the weights packed for --compute int8, the default, take ", base::bytes_text(needed),
                   " of memory, ", base::bytes_text(available),
                   " are available. --compute bf16 or f32 takes none of it; dgemma quantize --bits 4 makes a file of ",
                   base::bytes_text(bytes_of(items_to_pack(weights, DType::kPacked4))),
                   " that is used where it is mapped"));
}

Result<void> pack_weights(Weights& weights, int threads, const std::function<void(const LoadProgress&)>& progress) {
  if (weights.vocabulary.embedding.packed()) return {};
  DG_TRY(check_packing(weights, base::available_memory_bytes()));
  const std::vector<PackedItem> items = items_to_pack(weights, {});
  LoadProgress done;
  done.total_bytes = bytes_of(items);
  DG_TRY_ASSIGN(weights.packed, base::HugeMemory::allocate(done.total_bytes));
  base::ThreadPool pool(threads);
  const bool tied = is_tied(weights.vocabulary);
  for (const PackedItem& item : items) {
    std::byte* out = weights.packed.data() + done.done_bytes;
    DG_TRY(pack_item(item, pool, out));
    item.point_to(out);
    done.done_bytes += item.bytes();
    if (progress) progress(done);
  }
  finish_packed(weights, tied);
  weights.resident_bytes = done.total_bytes;
  return {};
}

}  // namespace dgemma::model
