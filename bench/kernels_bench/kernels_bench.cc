// How fast each kernel of each table is, on one thread, beside the machine's multiply-add peak.
//
// kernels_bench --benchmark_filter='product.*avx512' ; product/TABLE/N/K/BLOCKS, of packed weights TOKENS in place of
// BLOCKS. "flops" counts a multiply-add as two, integers' too; of a run on a busy machine take it over CPU time.
// "peak/..." runs the products' inner steps on registers: what they can be measured against, in the same run.
// On a machine that does other work too, use --benchmark_repetitions=9 and read the median and the best.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/blocks.h"
#include "tensor/packed.h"

namespace dgemma::kernels {
namespace {

using benchmark::Counter;
using benchmark::State;
using tensor::AlignedBuffer;
using tensor::kLanes;

AlignedBuffer<float> values(size_t count) {
  AlignedBuffer<float> out(count);
  uint32_t s = 1;
  for (float& v : out.span()) {
    s = s * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int32_t>(s) >> 8) * 0x1p-24f;
  }
  return out;
}

AlignedBuffer<uint16_t> bf16_values(size_t count) {
  AlignedBuffer<uint16_t> out(count);
  uint32_t s = 1;
  for (uint16_t& v : out.span()) {
    s = s * 1664525u + 1013904223u;
    v = static_cast<uint16_t>(0x3e00u | (s >> 16 & 0x80ffu));  // around +-0.15
  }
  return out;
}

void set_flops(State& state, double per_iteration) {
  state.counters["flops"] = Counter(per_iteration, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

struct Shape {
  size_t n, k, blocks;
};

template <class W>
void product(State& state, const KernelTable& t, Shape s, const W* w) {
  const auto x = values(s.blocks * s.k * kLanes);
  const AlignedBuffer<float> c(s.blocks * s.n * kLanes);
  for (auto _ : state) {
    if constexpr (sizeof(W) == 4)
      t.product_f32(w, s.k, x.data(), s.k * kLanes, c.data(), s.n * kLanes, s.blocks, s.n, s.k);
    else
      t.product_bf16(w, s.k, x.data(), s.k * kLanes, c.data(), s.n * kLanes, s.blocks, s.n, s.k);
    benchmark::ClobberMemory();
  }
  set_flops(state, 2.0 * static_cast<double>(s.n * s.k * s.blocks * kLanes));
}

void product_pairs(State& state, const KernelTable& t, Shape s, const uint16_t* w) {
  const auto x = values(s.k * kLanes);
  const AlignedBuffer<float> pairs(s.blocks * s.k / 2 * kLanes), c(s.blocks * s.n * kLanes);
  for (size_t b = 0; b < s.blocks; ++b) t.round_pairs(x.data(), s.k, pairs.data() + b * s.k / 2 * kLanes);
  for (auto _ : state) {
    t.product_pairs(w, s.k, pairs.data(), s.k / 2 * kLanes, c.data(), s.n * kLanes, s.blocks, s.n, s.k);
    benchmark::ClobberMemory();
  }
  set_flops(state, 2.0 * static_cast<double>(s.n * s.k * s.blocks * kLanes));
}

void weighted_sum_pairs(State& state, const KernelTable& t, Shape s, const uint16_t* w) {
  const auto p = values(s.k * kLanes);
  const AlignedBuffer<float> pairs(s.blocks * s.k / 2 * kLanes), c(s.blocks * s.n * kLanes);
  for (size_t b = 0; b < s.blocks; ++b) t.round_pairs(p.data(), s.k, pairs.data() + b * s.k / 2 * kLanes);
  const std::vector<float> scale(s.blocks * kLanes, 0.5f);
  const auto* words = reinterpret_cast<const uint32_t*>(w);
  for (auto _ : state) {
    t.weighted_sum_pairs(words, s.n, pairs.data(), s.k / 2 * kLanes, c.data(), s.n * kLanes, scale.data(), s.blocks,
                         s.n, s.k);
    benchmark::ClobberMemory();
  }
  set_flops(state, 2.0 * static_cast<double>(s.n * s.k * s.blocks * kLanes));
}

// Here n is the columns of w and k its rows, the tokens of a tile.
template <class W>
void weighted_sum(State& state, const KernelTable& t, Shape s, const W* w) {
  const auto p = values(s.blocks * s.k * kLanes);
  const AlignedBuffer<float> c(s.blocks * s.n * kLanes);
  const std::vector<float> scale(s.blocks * kLanes, 0.5f);
  for (auto _ : state) {
    if constexpr (sizeof(W) == 4)
      t.weighted_sum_f32(w, s.n, p.data(), s.k * kLanes, c.data(), s.n * kLanes, scale.data(), s.blocks, s.n, s.k);
    else
      t.weighted_sum_bf16(w, s.n, p.data(), s.k * kLanes, c.data(), s.n * kLanes, scale.data(), s.blocks, s.n, s.k);
    benchmark::ClobberMemory();
  }
  set_flops(state, 2.0 * static_cast<double>(s.n * s.k * s.blocks * kLanes));
}

// Weights of random codes; the scales are small numbers, whatever bits they are.
AlignedBuffer<uint8_t> packed_values(tensor::DType type, size_t rows, size_t columns) {
  AlignedBuffer<uint8_t> w(tensor::panels_for(rows) * tensor::panel_bytes(type, columns));
  uint32_t seed = 1;
  for (uint8_t& byte : w.span()) byte = static_cast<uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24 & 0x3f);
  return w;
}

void packed_product(State& state, const KernelTable& t, tensor::DType type, Shape s) {
  const size_t panel = tensor::panel_bytes(type, s.k), blocks = tensor::blocks_for(s.blocks);
  const auto w = packed_values(type, s.n, s.k);
  const auto x = values(s.k * kLanes);
  const size_t stride = tensor::quantised_features(s.k) * kLanes;
  const AlignedBuffer<float> quantised(blocks * stride), c(blocks * s.n * kLanes);
  for (size_t b = 0; b < blocks; ++b) t.quantise(x.data(), s.k, quantised.data() + b * stride);
  const auto product = type == tensor::DType::kPacked4 ? t.product_packed4 : t.product_packed8;
  for (auto _ : state) {
    product(w.data(), panel, quantised.data(), stride, c.data(), s.n * kLanes, nullptr, s.blocks, s.n, s.k);
    benchmark::ClobberMemory();
  }
  set_flops(state, 2.0 * static_cast<double>(s.n * s.k * s.blocks));
}

// As of the vocabulary's rows: n columns, k rows.
void packed_sum(State& state, const KernelTable& t, tensor::DType type, Shape s) {
  const size_t panel = tensor::panel_bytes(type, s.n), stride = tensor::quantised_features(s.k) * kLanes;
  const auto w = packed_values(type, s.k, s.n);
  const bool four = type == tensor::DType::kPacked4;
  const AlignedBuffer<float> row_scale(s.k), p(s.k * kLanes), prepared(s.blocks * stride), c(s.blocks * s.n * kLanes);
  (four ? t.row_scales4 : t.row_scales8)(w.data(), panel, tensor::panels_for(s.k), s.n, row_scale.data());
  for (size_t i = 0; i < p.size(); ++i) p.data()[i] = static_cast<float>(i % 7);
  for (size_t b = 0; b < s.blocks; ++b)
    t.quantise_probabilities(p.data(), row_scale.data(), s.k, prepared.data() + b * stride);
  const auto sum = four ? t.weighted_sum_packed4 : t.weighted_sum_packed8;
  for (auto _ : state) {
    sum(w.data(), panel, row_scale.data(), prepared.data(), stride, c.data(), s.n * kLanes, nullptr, s.blocks, s.n,
        s.k);
    benchmark::ClobberMemory();
  }
  set_flops(state, 2.0 * static_cast<double>(s.n * s.k * s.blocks * kLanes));
}

// One block of `features`; "items" are values.
template <class Run>
void elementwise(State& state, size_t features, Run run) {
  const auto start = values(features * kLanes);
  const AlignedBuffer<float> x(features * kLanes), y(features * kLanes);
  for (auto _ : state) {
    run(start.data(), x.data(), y.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * features * kLanes));
}

void add_peaks(const KernelTable& t) {
  constexpr size_t kRounds = 10000;
  const auto add = [&t](const char* kind, double (*peak)(size_t)) {
    benchmark::RegisterBenchmark((std::string("peak/") + t.name + "/" + kind).c_str(), [peak](State& state) {
      double operations = 0;
      for (auto _ : state) operations = peak(kRounds);
      if (operations == 0) state.SkipWithError("a sum is wrong");
      set_flops(state, operations);
    });
  };
  add("f32", t.peak_f32), add("bf16", t.peak_bf16), add("int8", t.peak_int8);
}

std::string label(const char* kernel, const KernelTable& t, Shape s) {
  return std::string(kernel) + "/" + t.name + "/" + std::to_string(s.n) + "/" + std::to_string(s.k) + "/" +
         std::to_string(s.blocks);
}

void add_products(const KernelTable& t, const float* w, const uint16_t* half) {
  const Shape shapes[] = {{512, 128, 4},   {128, 128, 4},  {128, 512, 4},    {256, 128, 1},
                          {256, 128, 2},   {256, 128, 3},  {64, 32, 4},      {4096, 2816, 16},
                          {704, 2816, 1},  {704, 2816, 2}, {704, 2816, 3},   {2816, 704, 4},
                          {256, 2816, 16}, {128, 2816, 4}, {16384, 2816, 1}, {16384, 2816, 2}};
  for (const Shape s : shapes) {
    if (s.n <= 4096)
      benchmark::RegisterBenchmark(label("product_f32", t, s).c_str(), [&t, s, w](State& st) { product(st, t, s, w); });
    benchmark::RegisterBenchmark(label("product_bf16", t, s).c_str(),
                                 [&t, s, half](State& st) { product(st, t, s, half); });
    benchmark::RegisterBenchmark(label("product_pairs", t, s).c_str(),
                                 [&t, s, half](State& st) { product_pairs(st, t, s, half); });
  }
  for (const Shape s : {Shape{1024, 2816, 256}, Shape{704, 2816, 32},  Shape{704, 2816, 16},   Shape{704, 2816, 8},
                        Shape{704, 2816, 6},    Shape{704, 2816, 4},   Shape{704, 2816, 2},    Shape{704, 2816, 1},
                        Shape{65536, 2816, 16}, Shape{65536, 2816, 8}, Shape{65536, 2816, 6},  Shape{65536, 2816, 4},
                        Shape{65536, 2816, 2},  Shape{65536, 2816, 1}, Shape{65536, 2816, 32}, Shape{2816, 704, 16},
                        Shape{2816, 704, 256},  Shape{2816, 64, 128},  Shape{128, 128, 64},    Shape{64, 128, 16}})
    for (const tensor::DType type : {tensor::DType::kPacked4, tensor::DType::kPacked8})
      benchmark::RegisterBenchmark(
          label(type == tensor::DType::kPacked4 ? "product_packed4" : "product_packed8", t, s).c_str(),
          [&t, type, s](State& st) { packed_product(st, t, type, s); });
  for (const Shape s : {Shape{2816, 4096, 16}, Shape{128, 2048, 4}, Shape{128, 2048, 1}})
    for (const tensor::DType type : {tensor::DType::kPacked4, tensor::DType::kPacked8})
      benchmark::RegisterBenchmark(
          label(type == tensor::DType::kPacked4 ? "weighted_sum_packed4" : "weighted_sum_packed8", t, s).c_str(),
          [&t, type, s](State& st) { packed_sum(st, t, type, s); });
  for (const Shape s : {Shape{128, 64, 4}, Shape{32, 64, 4}, Shape{2816, 256, 16}, Shape{256, 256, 16}}) {
    benchmark::RegisterBenchmark(label("weighted_sum_f32", t, s).c_str(),
                                 [&t, s, w](State& st) { weighted_sum(st, t, s, w); });
    benchmark::RegisterBenchmark(label("weighted_sum_bf16", t, s).c_str(),
                                 [&t, s, half](State& st) { weighted_sum(st, t, s, half); });
    benchmark::RegisterBenchmark(label("weighted_sum_pairs", t, s).c_str(),
                                 [&t, s, half](State& st) { weighted_sum_pairs(st, t, s, half); });
  }
}

void add_elementwise(const KernelTable& t, size_t n) {
  const auto add = [&](const char* kernel, auto run) {
    const std::string name = std::string(kernel) + "/" + t.name + "/" + std::to_string(n);
    benchmark::RegisterBenchmark(name.c_str(), [n, run](State& st) { elementwise(st, n, run); });
  };
  add("rms_norm", [&t, n](const float* in, float* x, float*) { t.rms_norm(in, nullptr, 1e-6f, x, n); });
  add("gelu_mul", [&t, n](const float* in, float* x, float*) { t.gelu_mul(in, in, x, n); });
  add("softcap", [&t, n](const float*, float* x, float*) { t.softcap(x, 30.0f, 1.0f, n); });
  add("softmax_tile", [&t, n](const float* in, float* x, float*) {
    __builtin_memcpy(x, in, n * kLanes * sizeof(float));  // a few percent of the time
    SoftmaxLanes stats{};
    float rescale[kLanes];
    t.softmax_tile(x, n, 0, &stats, rescale, nullptr);
  });
  add("gather_rows", [&t, n](const float* in, float* x, float*) {
    const float* rows[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) rows[lane] = in + (kLanes - 1 - lane) * n;
    t.gather_rows(rows, x, n);
  });
  add("sum_rows", [&t, n](const float* in, float* x, float*) {
    const float* rows[8];
    const float weight[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < 8; ++i) rows[i] = in + i * n;
    t.sum_rows(rows, weight, 8, x, n);  // of 1/16 of the items
  });
  add("round_pairs", [&t, n](const float* in, float* x, float*) { t.round_pairs(in, n, x); });
  add("round_values",
      [&t, n](const float* in, float* x, float*) { t.round_values(in, n * kLanes, reinterpret_cast<uint16_t*>(x)); });
  add("quantise_probabilities", [&t, n](const float* in, float* x, float*) {
    t.quantise_probabilities(in, in, n, x);  // some are negative: not of use, but as fast
  });
  add("quantise", [&t, n](const float* in, float* x, float*) { t.quantise(in, n, x); });
  add("lanes_to_rows_f32", [&t, n](const float* in, float* x, float*) { t.lanes_to_rows_f32(in, n, x, n, kLanes); });
  add("lanes_to_rows_bf16", [&t, n](const float* in, float* x, float*) {
    t.lanes_to_rows_bf16(in, n, reinterpret_cast<uint16_t*>(x), n, kLanes);
  });
  add("rows_to_lanes_f32", [&t, n](const float* in, float* x, float*) {
    const float* rows[kLanes];
    for (size_t r = 0; r < kLanes; ++r) rows[r] = in + r * n;
    t.rows_to_lanes_f32(rows, 2.0f, x, n);
  });
}

}  // namespace
}  // namespace dgemma::kernels

int main(int argc, char** argv) {
  using namespace dgemma::kernels;
  const auto w = values(size_t{4096} * 2816);
  const auto half = bf16_values(size_t{16384} * 2816);
  for (const KernelTable* t : available()) {
    add_peaks(*t);
    add_products(*t, w.data(), half.data());
    for (const size_t n : {128, 2816}) add_elementwise(*t, n);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
