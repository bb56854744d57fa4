// Tables give the same bits, on this machine and on all others: all in products, those that fuse in the rest.
//
// Every kernel runs on repeatable values, and a hash of all its results is compared with one that is written here: that
// is how avx512 on one machine is compared with neon on another.
#include "kernels/kernel_testing.h"
#include "kernels/kernels.h"

namespace dgemma::kernels::testing {
namespace {

class Hash {
 public:
  template <class T>
  void add(const T* values, size_t count) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(values);
    for (size_t i = 0; i < count * sizeof(T); ++i) state_ = (state_ ^ bytes[i]) * 0x100000001b3u;
  }
  void add(const PageEnd<float>& values) { add(values.data(), values.size()); }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0xcbf29ce484222325u;  // FNV-1a
};

constexpr size_t kBlocks = 6, kN = 53, kK = 277;

PageEnd<float> lanes(size_t features, uint32_t seed, float range) {
  PageEnd<float> x(features * kLanes);
  Values(seed).fill(x, range);
  return x;
}

uint64_t hash_products(const KernelTable& t) {
  PageEnd<float> w(kN * kK), scale(kBlocks * kLanes);
  PageEnd<uint16_t> half(kN * kK);
  Values(1).fill(w);
  Values(2).fill(half);
  Values(3).fill(scale);
  const PageEnd<float> x = lanes(kBlocks * kK, 4, 1);
  PageEnd<float> c = lanes(kBlocks * kN, 5, 1);
  const size_t xs = kK * kLanes, cs = kN * kLanes;
  Hash h;
  t.product_f32(w.data(), kK, x.data(), xs, c.data(), cs, kBlocks, kN, kK);
  h.add(c);
  t.product_bf16(half.data(), kK, x.data(), xs, c.data(), cs, kBlocks, kN, kK);
  h.add(c);
  t.weighted_sum_f32(w.data(), kN, x.data(), xs, c.data(), cs, scale.data(), kBlocks, kN, kK);
  h.add(c);
  t.weighted_sum_bf16(half.data(), kN, x.data(), xs, c.data(), cs, nullptr, kBlocks, kN, kK);
  h.add(c);
  return h.value();
}

/// Exact products in one order: scalar and sse2 too.
uint64_t hash_pairs(const KernelTable& t) {
  PageEnd<uint16_t> w(kN * (kK + 1));
  Values(2).fill(w);
  const PageEnd<float> x = lanes(kBlocks * kK, 4, 1);
  const size_t pairs = (kK + 1) / 2, xs = pairs * kLanes;
  PageEnd<float> rounded(kBlocks * xs), c = lanes(kBlocks * kN, 5, 1), scale(kBlocks * kLanes);
  Values(3).fill(scale);
  for (size_t b = 0; b < kBlocks; ++b) t.round_pairs(x.data() + b * kK * kLanes, kK, rounded.data() + b * xs);
  PageEnd<uint32_t> words(pairs * kN);
  std::memcpy(words.data(), w.data(), words.size() * sizeof(uint32_t));
  Hash h;
  t.weighted_sum_pairs(words.data(), kN, rounded.data(), xs, c.data(), kN * kLanes, scale.data(), kBlocks, kN,
                       2 * pairs);
  h.add(c);
  t.product_pairs(w.data(), kK + 1, rounded.data(), xs, c.data(), kN * kLanes, kBlocks, kN, kK + 1);
  h.add(c);
  return h.value();
}

uint64_t hash_elementwise(const KernelTable& t) {
  Hash h;
  PageEnd<float> out(kK * kLanes), weight(kK);
  Values(6).fill(weight);
  const PageEnd<float> x = lanes(kK, 7, 9), y = lanes(kK, 8, 9);
  t.rms_norm(x.data(), weight.data(), 1e-6f, out.data(), kK);
  h.add(out);
  t.gelu_mul(x.data(), y.data(), out.data(), kK);
  h.add(out);
  t.rope(out.data(), x.data(), y.data(), kK / 2);
  h.add(out);
  t.add_scaled(out.data(), x.data(), 0.3f, kK);
  h.add(out);
  t.softcap(out.data(), 3.0f, 1.25f, kK);
  h.add(out);
  return h.value();
}

uint64_t hash_softmax(const KernelTable& t) {
  Hash h;
  SoftmaxLanes stats{};
  for (float& m : stats.max) m = -kInf;
  for (uint32_t tile = 0; tile < 4; ++tile) {
    PageEnd<float> z = lanes(75, 9 + tile, 30.0f + static_cast<float>(tile));
    float rescale[kLanes];
    double sum[kLanes];
    t.softmax_tile(z.data(), 75, static_cast<int32_t>(75 * tile), &stats, rescale, sum);
    h.add(z);
    h.add(rescale, kLanes);
    h.add(sum, kLanes);
  }
  h.add(stats.max, kLanes);
  h.add(stats.sum, kLanes);
  h.add(stats.weighted, kLanes);
  h.add(stats.best, kLanes);
  return h.value();
}

TEST(Bits, of_products_of_floats_are_the_same_in_every_table) {
  for (const KernelTable* t : available()) EXPECT_EQ(hash_products(*t), 944598452944443504u) << t->name;
}

TEST(Bits, of_products_in_bf16_are_the_same_in_every_table_but_amxbf16) {
  for (const KernelTable* t : available()) {
    if (std::string(t->name) == "amxbf16") continue;  // sums of its own (tiles_bf16_test.cc)
    EXPECT_EQ(hash_pairs(*t), 16123070888835093328u) << t->name;
  }
}

TEST(Bits, are_the_same_in_every_table_that_fuses) {
  for (const KernelTable* t : available()) {
    if (!fused(*t)) continue;  // rounds products and sums separately
    SCOPED_TRACE(t->name);
    EXPECT_EQ(hash_elementwise(*t), 10893276363391668037u);
    EXPECT_EQ(hash_softmax(*t), 17620469794256405226u);
  }
}

}  // namespace
}  // namespace dgemma::kernels::testing
