// Operands of weighted sums of packed rows at page ends, for the tests of tables that are exact and of those that fold.
#pragma once

#include "kernels/packed_testing.h"

namespace dgemma::kernels::testing {

struct SumShape {
  size_t blocks, n, v;
  size_t stride_extra = 0;  // rows of 16 between blocks; a third of the bytes between panels
};

/// Rows of a table, their scales as a table's row_scales gives them, and probabilities of all sizes.
struct SumCase {
  DType type;
  SumShape s;
  size_t panel_stride, p_stride, c_stride;
  PageEnd<uint8_t> w;
  PageEnd<float> row_scale, p, c, scale;  // p [B, v, 16]: as they come

  SumCase(DType t, SumShape shape)
      : type(t),
        s(shape),
        panel_stride(tensor::panel_bytes(t, s.n) + 3 * s.stride_extra),
        p_stride((tensor::quantised_features(s.v) + s.stride_extra) * kLanes),
        c_stride((s.n + s.stride_extra) * kLanes),
        w(random_panels(t, s.v, s.n, panel_stride, 1)),
        row_scale(tensor::panels_for(s.v) * kPanelRows),
        p(s.blocks * s.v * kLanes),
        c((s.blocks - 1) * c_stride + s.n * kLanes),
        scale(s.blocks * kLanes) {
    Values values(static_cast<uint32_t>(s.v * 31 + s.n));
    values.fill(c);
    values.fill(scale);
    for (float& value : p) value = std::exp(values.next(9.0f) - 9.0f);
    const KernelTable& scalar = *choose("scalar").value();
    (four() ? scalar.row_scales4 : scalar.row_scales8)(w.data(), panel_stride, tensor::panels_for(s.v), s.n,
                                                       row_scale.data());
  }

  bool four() const { return type == DType::kPacked4; }

  using Prepare = decltype(KernelTable::quantise_probabilities);
  using Sum = decltype(KernelTable::weighted_sum_packed8);

  PageEnd<float> prepared(Prepare prepare) const {
    PageEnd<float> out((s.blocks - 1) * p_stride + tensor::quantised_features(s.v) * kLanes);
    for (size_t b = 0; b < s.blocks; ++b)
      prepare(p.data() + b * s.v * kLanes, row_scale.data(), s.v, out.data() + b * p_stride);
    return out;
  }

  PageEnd<float> sum(Sum kernel, const PageEnd<float>& prepared, bool scaled) const {
    PageEnd<float> out = c;
    kernel(w.data(), panel_stride, row_scale.data(), prepared.data(), p_stride, out.data(), c_stride,
           scaled ? scale.data() : nullptr, s.blocks, s.n, s.v);
    return out;
  }
  PageEnd<float> sum(const KernelTable& t, const PageEnd<float>& prepared, bool scaled) const {
    return sum(four() ? t.weighted_sum_packed4 : t.weighted_sum_packed8, prepared, scaled);
  }

  /// Root mean square of what `got` is off, over that of the sums in double. c was not scaled.
  double error_of(const PageEnd<float>& got) const {
    const tensor::Weight table{type, w.data(), s.v, s.n, panel_stride};
    std::vector<float> row(s.n);
    std::vector<double> want(s.blocks * s.n * kLanes);
    for (size_t i = 0; i < s.v; ++i) {
      tensor::unpack_row(table, i, row.data());
      for (size_t j = 0; j < want.size(); ++j)
        want[j] += double{row[j / kLanes % s.n]} * double{p[(j / kLanes / s.n * s.v + i) * kLanes + j % kLanes]};
    }
    double error = 0, size = 0;
    for (size_t j = 0; j < want.size(); ++j) {
      const size_t at = j / kLanes / s.n * c_stride + j / kLanes % s.n * kLanes + j % kLanes;
      error += std::pow(double{got[at]} - double{c[at]} - want[j], 2), size += want[j] * want[j];
    }
    return std::sqrt(error / size);
  }
};

inline std::vector<SumShape> sum_shapes() {
  std::vector<SumShape> shapes;
  for (const size_t v : {1, 3, 15, 16, 17, 31, 33, 48, 63, 64, 65, 127, 129, 192, 255, 256, 257, 300, 513, 700})
    shapes.push_back({1 + v % 3, 70, v});
  for (const size_t n : {1, 3, 15, 16, 17, 63, 64, 65, 100, 128, 129, 200}) shapes.push_back({1 + n % 3, n, 150});
  for (const size_t blocks : {4, 5, 16, 17, 18}) shapes.push_back({blocks, 40, 300});
  for (const size_t blocks : {1, 2, 3}) shapes.push_back({blocks, 150, 270, 2});
  return shapes;
}

}  // namespace dgemma::kernels::testing
