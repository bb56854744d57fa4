// How long the attention of one pass takes at the shape of the 26B model, without a model: 25 layers that see a window
// and 5 that see everything, keys and values in bf16.
//
// attention_bench TABLE THREADS ROUNDS [CONTEXT...] prints, by context, the medians of ROUNDS of: a denoising step of
// 256 rows, a prompt's chunk of 512 rows that ends at the context, one decoded token. Each layer has its own keys, so
// none are in a cache that the model would not find them in. FNV: of all results, to compare builds and threads.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/kernels.h"
#include "ops/attention.h"
#include "tensor/dtype.h"

namespace dgemma::ops {
namespace {

using tensor::kLanes;

constexpr size_t kHeads = 16, kCanvas = 256, kChunk = 512;
constexpr int64_t kWindow = 1024;

struct Layer {
  AttentionShape shape;
  bool sliding;
  size_t cached;  // rows
  std::vector<uint16_t> keys, values, canvas_keys, canvas_values;

  size_t stride() const { return shape.kv_heads * shape.head_dim; }
};

uint32_t next(uint32_t& state) { return state = state * 1664525u + 1013904223u; }

std::vector<uint16_t> bf16_values(size_t count, uint32_t seed) {  // +-2^-4 .. 1
  std::vector<uint16_t> values(count);
  for (uint16_t& v : values) {
    const uint32_t bits = next(seed) >> 8;
    v = static_cast<uint16_t>((bits & 0x8000) | (0x3d80 + bits % 0x200));
  }
  return values;
}

/// What a pass over `rows` rows from `position` on sees, as model/attention_pass.cc puts it together.
std::vector<BlockKeys> visible(const Layer& layer, bool denoise, size_t rows, int64_t position) {
  std::vector<BlockKeys> keys(tensor::blocks_for(rows));
  const int64_t end_of_cache = denoise ? position : position + static_cast<int64_t>(rows);
  const int64_t kept = std::max<int64_t>(0, end_of_cache - static_cast<int64_t>(layer.cached));
  for (size_t b = 0; b < keys.size(); ++b) {
    keys[b][0] = {tensor::DType::kBF16, layer.keys.data(), layer.values.data(), layer.stride(), {}, {}};
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const int64_t end =
          denoise ? position : std::min(position + static_cast<int64_t>(b * kLanes + lane) + 1, end_of_cache);
      const int64_t seen = layer.sliding ? (denoise ? kWindow - 1 : kWindow) : end;
      keys[b][0].low[lane] = static_cast<int32_t>(std::max<int64_t>(0, end - seen) - kept);
      keys[b][0].high[lane] = static_cast<int32_t>(end - kept);
    }
    if (!denoise) continue;
    keys[b][1] = {tensor::DType::kBF16, layer.canvas_keys.data(), layer.canvas_values.data(), layer.stride(), {}, {}};
    keys[b][1].high.fill(static_cast<int32_t>(rows));
  }
  return keys;
}

struct Pass {
  const char* name;
  bool denoise;
  size_t rows;
};

class Bench {
 public:
  Bench(const kernels::KernelTable& table, int threads, int rounds) : exec_(table, threads), rounds_(rounds) {}

  void run(int64_t context) {
    std::vector<Layer> layers;
    for (size_t i = 0; i < 30; ++i) layers.push_back(layer(i, context));
    for (const Pass& pass : {Pass{"step", true, kCanvas}, Pass{"chunk", false, kChunk}, Pass{"token", false, 1}})
      measure(layers, pass,
              pass.denoise ? context : context - static_cast<int64_t>(std::min<size_t>(pass.rows, size_t(context))));
  }

 private:
  static Layer layer(size_t i, int64_t context) {
    const bool sliding = i % 6 != 5;
    // Whole tiles were dropped from a window's cache.
    const int64_t most = context > 2048 ? context - (context - kWindow - 512) / 256 * 256 : context;
    Layer l{sliding ? AttentionShape{kHeads, 8, 256} : AttentionShape{kHeads, 2, 512},
            sliding,
            static_cast<size_t>(sliding ? most : context),
            {},
            {},
            {},
            {}};
    const auto seed = static_cast<uint32_t>(i);
    l.keys = bf16_values(l.cached * l.stride(), seed), l.values = bf16_values(l.cached * l.stride(), seed + 100);
    l.canvas_keys = bf16_values(kCanvas * l.stride(), seed + 200);
    l.canvas_values = bf16_values(kCanvas * l.stride(), seed + 300);
    return l;
  }

  static tensor::BlockMatrix queries(size_t rows, size_t width) {
    tensor::BlockMatrix q(rows, width);
    uint32_t state = 7;
    for (size_t row = 0; row < rows; ++row)
      for (size_t d = 0; d < width; ++d)
        q.view().at(row, d) = static_cast<float>(static_cast<int32_t>(next(state)) >> 8) * 0x1p-25f;
    return q;
  }

  void measure(const std::vector<Layer>& layers, const Pass& pass, int64_t position) {
    std::vector<double> total, sliding;
    uint64_t print = 0xcbf29ce484222325;
    const tensor::BlockMatrix window_q = queries(pass.rows, kHeads * 256), full_q = queries(pass.rows, kHeads * 512);
    const tensor::BlockMatrix window_out(pass.rows, kHeads * 256), full_out(pass.rows, kHeads * 512);
    for (int round = 0; round < rounds_; ++round) {
      double seconds = 0, of_sliding = 0;
      for (const Layer& l : layers) {
        const size_t width = l.shape.heads * l.shape.head_dim;
        const tensor::BlockMatrix &q = l.sliding ? window_q : full_q, &out = l.sliding ? window_out : full_out;
        const auto keys = visible(l, pass.denoise, pass.rows, position);
        const auto start = std::chrono::steady_clock::now();
        attention(exec_, l.shape, q.view(), keys, out.view(), pass.rows);
        const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        seconds += took;
        if (l.sliding) of_sliding += took;
        if (round > 0) continue;
        for (size_t row = 0; row < pass.rows; ++row)
          for (size_t d = 0; d < width; ++d) {
            uint32_t bits;
            std::memcpy(&bits, &out.view().at(row, d), sizeof bits);
            print = (print ^ bits) * 0x100000001b3;
          }
      }
      total.push_back(seconds), sliding.push_back(of_sliding);
    }
    std::sort(total.begin(), total.end()), std::sort(sliding.begin(), sliding.end());
    std::printf("%-6s at %6lld: %9.3f ms, of it windows %9.3f   best %9.3f   %016llx\n", pass.name,
                static_cast<long long>(position), 1e3 * total[total.size() / 2], 1e3 * sliding[sliding.size() / 2],
                1e3 * total.front(), static_cast<unsigned long long>(print));
    std::fflush(stdout);
  }

  Exec exec_;
  int rounds_;
};

}  // namespace
}  // namespace dgemma::ops

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "attention_bench TABLE THREADS ROUNDS [CONTEXT...]\n"), 2;
  const auto table = dgemma::kernels::choose(argv[1]);
  if (!table) return std::fprintf(stderr, "no table %s\n", argv[1]), 2;
  dgemma::ops::Bench bench(*table.value(), std::atoi(argv[2]), std::atoi(argv[3]));
  if (argc == 4) bench.run(512);
  for (int i = 4; i < argc; ++i) bench.run(std::atoi(argv[i]));
  return 0;
}
