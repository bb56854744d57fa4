// See amx_machine.h.
#include "kernels/amx_machine.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "kernels/scalar_int8.h"
#include "tensor/dtype.h"
#include "tensor/packed_layout.h"

namespace dgemma::kernels {
namespace {

/// Asks Linux for the use of tiles by this process.
bool tiles_are_permitted() {
  constexpr long kAskForPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;              // the state's number
  return syscall(SYS_arch_prctl, kAskForPermission, kTileData) == 0;
}

uint32_t next_random(uint32_t& state) { return (state = state * 1664525u + 1013904223u) >> 8; }

/// A product with rest rows, rest columns and rest tokens: three panels, two blocks, folds of 4 and 1 superblocks.
struct SmallProduct {
  static constexpr size_t kTokens = 19, kBlocks = 2, kRows = 35, kPanels = 3, kColumns = 270, kLanes = 16;
  static constexpr size_t kSuperblocks = tensor::superblocks_for(kColumns);
  static constexpr size_t kQuantised = tensor::quantised_features(kColumns) * kLanes;

  alignas(64) float x[kBlocks][kColumns * kLanes];
  alignas(64) uint8_t w[kPanels * kSuperblocks * tensor::kSuperblockBytes8];  // any bytes are weights

  SmallProduct() {
    uint32_t state = 1;
    for (auto& block : x)
      for (float& value : block)
        value = static_cast<float>(static_cast<int32_t>(next_random(state)) - (1 << 23)) * 0x1p-23f;
    for (uint8_t& byte : w) byte = static_cast<uint8_t>(next_random(state));
  }

  struct Result {
    alignas(64) float x[kBlocks][kQuantised];
    alignas(64) float c[2][kBlocks][kRows * kLanes];  // of 4 and of 8 bits
  };

  using Quantise = decltype(KernelTable::quantise);
  using Product = decltype(KernelTable::product_packed4);

  void compute(Quantise quantise, Product product4, Product product8, Result& out) const {
    for (size_t b = 0; b < kBlocks; ++b) quantise(x[b], kColumns, out.x[b]);
    product4(w, kSuperblocks * tensor::kSuperblockBytes4, out.x[0], kQuantised, out.c[0][0], kRows * kLanes, nullptr,
             kTokens, kRows, kColumns);
    product8(w, kSuperblocks * tensor::kSuperblockBytes8, out.x[0], kQuantised, out.c[1][0], kRows * kLanes, nullptr,
             kTokens, kRows, kColumns);
  }
};

/// Weighted sums of the same weights: two runs of rows, strips of 64 and 6 columns.
bool computes_folded_sums(const KernelTable& table, const uint8_t* w, size_t bytes) {
  constexpr size_t kRows = 330, kColumns = 70, kLanes = 16, kPanels = tensor::superblocks_for(kRows) * 4;
  constexpr size_t kQuantised = tensor::quantised_features(kRows) * kLanes;
  constexpr size_t kStride = tensor::superblocks_for(kColumns) * tensor::kSuperblockBytes8;
  if (bytes < kStride) return false;
  alignas(64) static uint8_t panels[kPanels][kStride];
  for (size_t i = 0; i < kPanels; ++i) std::memcpy(panels[i], w + i * 64 % (bytes - kStride + 1), kStride);
  float row_scale[kPanels * 16];
  alignas(64) float p[kRows * kLanes], prepared[2][kQuantised], c[2][kColumns * kLanes] = {};
  uint32_t state = 2;
  for (float& value : p) value = static_cast<float>(next_random(state)) * 0x1p-24f;
  table.row_scales8(panels[0], kStride, (kRows + 15) / 16, kColumns, row_scale);
  quantise_probabilities_by_run(p, row_scale, kRows, prepared[0]);
  table.quantise_probabilities(p, row_scale, kRows, prepared[1]);
  weighted_sum_folded_exactly<8>(panels[0], kStride, row_scale, prepared[0], 0, c[0], 0, nullptr, 1, kColumns, kRows);
  table.weighted_sum_packed8(panels[0], kStride, row_scale, prepared[1], 0, c[1], 0, nullptr, 1, kColumns, kRows);
  return std::memcmp(prepared[0], prepared[1], sizeof prepared[0]) == 0 && std::memcmp(c[0], c[1], sizeof c[0]) == 0;
}

}  // namespace

bool computes_folded_products(const KernelTable& table) {
  using P = SmallProduct;
  const P small;
  P::Result want{}, got{};
  small.compute(quantise_by_fold_exactly, product_folded_exactly<4>, product_folded_exactly<8>, want);
  small.compute(table.quantise, table.product_packed4, table.product_packed8, got);
  if (std::memcmp(got.x, want.x, sizeof got.x) != 0) return false;
  for (size_t bits = 0; bits < 2; ++bits)
    for (size_t row = 0; row < P::kRows; ++row) {
      const size_t at = row * P::kLanes;
      constexpr size_t kRest = P::kTokens - P::kLanes;
      if (std::memcmp(got.c[bits][0] + at, want.c[bits][0] + at, P::kLanes * sizeof(float)) != 0 ||
          std::memcmp(got.c[bits][1] + at, want.c[bits][1] + at, kRest * sizeof(float)) != 0)
        return false;
    }
  return computes_folded_sums(table, small.w, sizeof small.w);
}

bool computes_bf16_products(const KernelTable& table) {
  constexpr size_t kRows = 35, kColumns = 330, kLanes = 16;  // rest rows, rest columns, two chunks
  uint16_t w[kRows][kColumns], pairs[kColumns / 2][kLanes][2];
  alignas(64) float x[kColumns / 2][kLanes], c[kRows][kLanes];
  uint32_t state = 1;
  const auto next = [&state] {  // +-2^-4 .. 1
    const uint32_t bits = next_random(state);
    return static_cast<uint16_t>((bits & 0x8000) | (0x3d80 + bits % 0x200));
  };
  for (auto& row : w)
    for (uint16_t& value : row) value = next();
  for (auto& lanes : pairs)
    for (auto& pair : lanes) pair[0] = next(), pair[1] = next();
  std::memcpy(x, pairs, sizeof x);
  table.product_pairs(w[0], kColumns, x[0], 0, c[0], 0, 1, kRows, kColumns);
  for (size_t row = 0; row < kRows; ++row)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      double sum = 0, size = 0;
      for (size_t k = 0; k < kColumns; ++k) {
        const double product =
            double{tensor::bf16_to_float(w[row][k])} * double{tensor::bf16_to_float(pairs[k / 2][lane][k % 2])};
        sum += product, size += std::fabs(product);
      }
      if (!(std::fabs(double{c[row][lane]} - sum) <= size * kColumns * 0x1p-24)) return false;
    }
  return true;
}

const char* amx_obstacle(const Cpu& cpu) {
  if (!cpu.amx_tile || !cpu.amx_int8) return "no AMX int8 in the processor, or tiles that the system does not save";
  const bool vectors = cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl && cpu.avx512_vnni &&
                       cpu.avx512_vbmi && cpu.avx512_bf16 && cpu.avx2 && cpu.fma;
  if (!vectors) return "AMX without AVX-512 VNNI, VBMI and BF16";
  if (!tiles_are_permitted()) return "the system gives no leave to use tiles: arch_prctl(ARCH_REQ_XCOMP_PERM) failed";
  if (!computes_folded_products(*amx_table())) return "a check of its results failed";
  return nullptr;
}

const char* amxbf16_obstacle(const Cpu& cpu) {
  if (!cpu.amx_bf16) return "no AMX bf16 in the processor, or tiles that the system does not save";
  if (const char* why = amx_obstacle(cpu)) return why;
  return computes_bf16_products(*amxbf16_table()) ? nullptr : "a check of its results failed";
}

}  // namespace dgemma::kernels
