// Random operands of integer products at page ends, for the tests of tables that compute them exactly and of those that
// fold weights.
#pragma once

#include <cstring>
#include <string_view>

#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"
#include "tensor/blocks.h"
#include "tensor/packed.h"
#include "tensor/quant/quant.h"

namespace dgemma::kernels::testing {

using tensor::DType;
using tensor::kPanelRows;
using tensor::kQuantisedRows;
using tensor::kSuperblock;

struct Shape {
  size_t tokens, n, k;
  size_t stride_extra = 0;  // rows of 16 between blocks; a third of the bytes between panels
};

inline uint16_t half_at(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

/// Panels of random codes with scales of both signs, some zero, some subnormal.
inline PageEnd<uint8_t> random_panels(DType type, size_t n, size_t k, size_t stride, uint32_t seed) {
  PageEnd<uint8_t> w((tensor::panels_for(n) - 1) * stride + tensor::panel_bytes(type, k));
  Values values(seed);
  for (uint8_t& byte : w) byte = static_cast<uint8_t>(values.bits() >> 11);
  for (size_t panel = 0; panel < tensor::panels_for(n); ++panel)
    for (size_t s = 0; s < tensor::superblocks_for(k); ++s)
      for (size_t i = 0; i < tensor::kScaleBytes; i += 2) {
        const uint32_t kind = values.bits() % 16;
        const float scale = kind == 0 ? 0.0f : kind == 1 ? values.next(5e-5f) : values.next(0.1f);
        const uint16_t half = tensor::quant::float_to_f16(scale);
        std::memcpy(&w[panel * stride + s * tensor::info(type).block_bytes + i], &half, sizeof half);
      }
  return w;
}

using Quantise = decltype(KernelTable::quantise);

inline PageEnd<float> quantised(Quantise quantise, size_t blocks, size_t k, size_t stride, uint32_t seed) {
  PageEnd<float> x((blocks - 1) * stride + tensor::quantised_features(k) * kLanes), values(k * kLanes);
  Values generator(seed);
  for (size_t b = 0; b < blocks; ++b) {
    generator.fill(values, 3.0f);
    quantise(values.data(), k, x.data() + b * stride);
  }
  return x;
}

/// The operands of one product.
struct PackedCase {
  DType type;
  Shape s;
  size_t panel_stride, x_stride, c_stride;
  PageEnd<uint8_t> w;
  PageEnd<float> x, c, scale;

  PackedCase(DType t, Shape shape, Quantise quantise)
      : type(t),
        s(shape),
        panel_stride(tensor::panel_bytes(t, s.k) + 3 * s.stride_extra),
        x_stride((tensor::quantised_features(s.k) + s.stride_extra) * kLanes),
        c_stride((s.n + s.stride_extra) * kLanes),
        w(random_panels(t, s.n, s.k, panel_stride, 1)),
        x(quantised(quantise, blocks(), s.k, x_stride, 2)),
        c((blocks() - 1) * c_stride + s.n * kLanes),
        scale(blocks() * kLanes) {
    Values values(3);
    values.fill(c);
    values.fill(scale);
  }

  size_t blocks() const { return tensor::blocks_for(s.tokens); }
};

/// This machine's tables whose integer products are exact sums of 32: all but amx, which folds (folded_test.cc), and
/// those that take its products.
inline std::vector<const KernelTable*> exact_tables() {
  const auto amx = choose("amx");
  std::vector<const KernelTable*> tables;
  for (const KernelTable* t : available())
    if (!amx || t->product_packed4 != (*amx)->product_packed4) tables.push_back(t);
  return tables;
}

}  // namespace dgemma::kernels::testing
