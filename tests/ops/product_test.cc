#include "ops/product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "ops/random.h"
#include "ops/rows.h"
#include "tensor/quant/quant.h"

namespace dgemma::ops {
namespace {

double dot(const std::vector<float>& w, size_t n, const std::vector<float>& x, size_t r, size_t k) {
  double sum = 0;
  for (size_t i = 0; i < k; ++i) sum += double{w[n * k + i]} * x[r * k + i];
  return sum;
}

TEST(Product, multiplies_every_row_with_every_output) {
  const size_t rows = 37, n = 101, k = 45;
  const auto w = random_values(n * k, 1), x = random_values(rows * k, 2);
  const auto in = to_blocks(x, rows, k);
  const tensor::BlockMatrix out(rows, n);
  Exec exec(best_table(), 2);
  product(exec, weight(w, n, k), in.view(), out.view());
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < n; ++i) EXPECT_NEAR(out.view().at(r, i), dot(w, i, x, r, k), 2e-5) << r << " " << i;
}

TEST(Product, threads_do_not_change_a_bit) {
  const size_t rows = 64, n = 333, k = 128;
  const auto w = random_values(n * k, 3), x = random_values(rows * k, 4);
  const auto in = to_blocks(x, rows, k);
  const tensor::BlockMatrix one(rows, n), three(rows, n);
  Exec a(best_table(), 1), b(best_table(), 3);
  product(a, weight(w, n, k), in.view(), one.view());
  product(b, weight(w, n, k), in.view(), three.view());
  EXPECT_EQ(0, std::memcmp(one.view().data, three.view().data, rows * n * sizeof(float)));
}

TEST(Products, of_the_same_x_are_those_computed_one_by_one_and_may_leave_first_blocks_out) {
  const size_t rows = 64, k = 48, many = 101, few = 7, blocks = rows / tensor::kLanes;
  const auto a = random_values(many * k, 5), b = random_values(few * k, 6), c = random_values(many * k, 7);
  const auto in = to_blocks(random_values(rows * k, 8), rows, k);
  const tensor::BlockMatrix a_alone(rows, many), b_alone(rows, few), a_out(rows, many), b_out(rows, few);
  Exec exec(best_table(), 2);
  product(exec, weight(a, many, k), in.view(), a_alone.view());
  product(exec, weight(b, few, k), in.view(), b_alone.view());
  const tensor::Weight wa = weight(a, many, k), wb = weight(b, few, k), wc = weight(c, many, k);
  const tensor::Blocks last_two = a_out.view().block_range(blocks - 2, 2), none{nullptr, 0, many, 0};
  products(exec, std::vector<Product>{{wb, b_out.view()}, {wa, last_two}, {wc, none}}, in.view());
  expect_same_rows(b_out.view(), b_alone.view(), rows);
  expect_same_rows(last_two, a_alone.view().block_range(blocks - 2, 2), 2 * tensor::kLanes);
}

TEST(Product, of_weights_in_every_stored_type_equals_that_of_their_decoded_values) {
  using tensor::DType;
  const size_t rows = 19, n = 61, k = 512;
  const auto x = random_values(rows * k, 4);
  const auto in = to_blocks(x, rows, k);
  Exec exec(best_table(), 2);
  for (const DType type :
       {DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ2_K,
        DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS}) {
    std::vector<uint8_t> blocks(tensor::storage_bytes(type, n * k).value());
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<uint8_t>((i * 2654435761u >> 11) & 0x3B);
    std::vector<float> decoded(n * k);
    tensor::quant::decode(type, reinterpret_cast<const std::byte*>(blocks.data()), n * k, decoded.data());
    const tensor::BlockMatrix stored(rows, n), plain(rows, n);
    product(exec, tensor::Weight{type, blocks.data(), n, k}, in.view(), stored.view());
    product(exec, weight(decoded, n, k), in.view(), plain.view());
    EXPECT_EQ(0, std::memcmp(stored.view().data, plain.view().data, rows * n * sizeof(float)))
        << tensor::info(type).name;
  }
}

TEST(GatedProduct, is_gelu_of_gate_times_up) {
  const size_t rows = 5, n = 70, k = 33;
  const auto g = random_values(n * k, 5, 0.2f), u = random_values(n * k, 6, 0.2f), x = random_values(rows * k, 7);
  const auto in = to_blocks(x, rows, k);
  const tensor::BlockMatrix out(rows, n);
  Exec exec(best_table(), 2);
  gated_product(exec, weight(g, n, k), weight(u, n, k), in.view(), tensor::Arithmetic::kF32, out.view());
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < n; ++i) {
      const double a = dot(g, i, x, r, k);
      const double gelu = 0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)));
      EXPECT_NEAR(out.view().at(r, i), gelu * dot(u, i, x, r, k), 1e-5);
    }
}

TEST(RmsNorm, divides_by_the_root_of_the_mean_square) {
  const size_t rows = 18, d = 65;
  const auto x = random_values(rows * d, 8, 3.0f), w = random_values(d, 9);
  const auto in = to_blocks(x, rows, d);
  Exec exec(best_table(), 2);
  rms_norm(exec, in.view(), w.data(), 1e-6f, in.view());
  for (size_t r = 0; r < rows; ++r) {
    double square = 0;
    for (size_t i = 0; i < d; ++i) square += double{x[r * d + i]} * x[r * d + i];
    for (size_t i = 0; i < d; ++i)
      EXPECT_NEAR(in.view().at(r, i), x[r * d + i] / std::sqrt(square / double(d) + 1e-6) * w[i], 1e-5);
  }
}

}  // namespace
}  // namespace dgemma::ops
