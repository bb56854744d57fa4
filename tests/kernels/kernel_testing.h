// Helpers for the kernel tests: buffers that end where memory ends, repeatable values, and the list of tables.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu.h"
#include "kernels/kernels.h"

namespace dgemma::kernels::testing {

inline constexpr size_t kLanes = 16;
inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr double kUnit = 0x1p-24;  // half an ulp of 1.0f: the largest relative error of one rounding

/// `count` values whose last byte is the last of a page; the page behind cannot be read or written. The one before the
/// values' first page cannot either, so reading in front of a page-sized buffer faults too.
template <class T>
class PageEnd {
 public:
  explicit PageEnd(size_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = count * sizeof(T);
    const size_t used = (bytes + page - 1) / page * page;
    size_ = used + 2 * page;
    void* memory = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    base_ = static_cast<std::byte*>(memory);
    if (used > 0 && mprotect(base_ + page, used, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(base_ + page + used - bytes);
  }
  PageEnd(const PageEnd& other) : PageEnd(other.count_) {
    if (count_ > 0) std::memcpy(data_, other.data_, count_ * sizeof(T));
  }
  PageEnd& operator=(const PageEnd&) = delete;
  ~PageEnd() { munmap(base_, size_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + count_; }

 private:
  size_t count_ = 0;
  size_t size_ = 0;
  std::byte* base_ = nullptr;
  T* data_ = nullptr;
};

/// Repeatable values on every machine: no library distribution, only integer arithmetic.
class Values {
 public:
  explicit Values(uint32_t seed) : state_(seed * 2654435761u + 12345u) {}
  uint32_t bits() {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ ^ state_ >> 15;
  }
  /// Uniform in -range .. range.
  float next(float range = 1.0f) { return static_cast<float>(static_cast<int32_t>(bits()) >> 8) * 0x1p-23f * range; }
  uint16_t next_bf16() { return static_cast<uint16_t>(std::bit_cast<uint32_t>(next()) >> 16); }

  void fill(PageEnd<float>& out, float range = 1.0f) {
    for (float& v : out) v = next(range);
  }
  void fill(PageEnd<uint16_t>& out) {
    for (uint16_t& v : out) v = next_bf16();
  }

 private:
  uint32_t state_;
};

inline float widened(float v) { return v; }
inline float widened(uint16_t v) { return std::bit_cast<float>(uint32_t{v} << 16); }

/// Does this table round a multiply-add once?
inline bool fused(const KernelTable& t) {
  const std::string name = t.name;
  return name != "scalar" && name != "sse2";
}

inline bool same_bits(const PageEnd<float>& a, const PageEnd<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Distance in units of the last place of `want`.
inline double ulps(double got, double want) {
  if (got == want || (std::isnan(got) && std::isnan(want))) return 0;
  const float w = std::fabs(static_cast<float>(want));
  const double ulp = static_cast<double>(std::nextafter(w, kInf)) - static_cast<double>(w);
  return std::fabs(got - want) / ulp;
}

/// Base of every test that runs once for each table of this machine.
class EachTable : public ::testing::TestWithParam<std::string> {
 protected:
  const KernelTable& table() const { return *choose(GetParam()).value(); }
};

inline std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const KernelTable* t : available()) names.push_back(t->name);
  return names;
}

inline std::string table_name(const ::testing::TestParamInfo<std::string>& info) { return info.param; }

/// Runs with the tables that tiles_tables gives.
class OnTiles : public ::testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

/// The emulated table where there is AVX-512 (amx_emulated.h), and `name`, the real one, where there is AMX.
inline std::vector<const KernelTable*> tiles_tables(const KernelTable* (*emulated)(), const char* name) {
  std::vector<const KernelTable*> tables;
  if (cpu().avx512_vbmi && choose("avx512vnni").has_value()) tables.push_back(emulated());
  if (const auto real = choose(name); real.has_value()) tables.push_back(*real);
  return tables;
}

inline std::string tiles_name(const ::testing::TestParamInfo<const KernelTable*>& info) { return info.param->name; }

}  // namespace dgemma::kernels::testing

#define DG_FOR_EACH_TABLE(suite)                                                                          \
  INSTANTIATE_TEST_SUITE_P(Tables, suite, ::testing::ValuesIn(::dgemma::kernels::testing::table_names()), \
                           ::dgemma::kernels::testing::table_name)
