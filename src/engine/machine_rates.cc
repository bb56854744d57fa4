// See machine_rates.h.
#include "engine/machine_rates.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "base/format.h"
#include "base/huge_memory.h"
#include "base/memory.h"
#include "tensor/blocks.h"
#include "tensor/packed_layout.h"

namespace dgemma::engine {
namespace {

using Clock = std::chrono::steady_clock;
using tensor::AlignedBuffer;
using tensor::kLanes;

// What a round takes at least: long beside the waking of threads, short beside the time between two disturbances.
constexpr double kRoundSeconds = 3e-3;

/// Seconds of one repeat in the fastest of the rounds that fit into `budget_s`, of at least one. round(repeats) does
/// its work that often: once at first, then twice as often until a round is long enough.
double fastest(double budget_s, const std::function<void(size_t repeats)>& round) {
  double best = INFINITY;
  size_t repeats = 1;
  for (double spent = 0; spent < budget_s;) {
    const Clock::time_point start = Clock::now();
    round(repeats);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds / static_cast<double>(repeats)), spent += seconds;
    if (seconds < kRoundSeconds) repeats *= 2;
  }
  return best;
}

// Words that one task reads: 4 MiB, two huge pages.
constexpr size_t kTaskWords = size_t{1} << 19;
// How far ahead of its use a line is asked for, within one small page.
constexpr size_t kAheadWords = 256;

/// Sum of words, in eight sums so that additions do not wait for each other. count: a multiple of 8.
uint64_t sum_words(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i < count; i += 8) {
    __builtin_prefetch(words + i + kAheadWords);
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

// The product that a peak is measured with: a weight panel, activations and results that share a second-level cache of
// 512 KiB with room to spare. 48 rows suit register blocks of 6, 8, 12 and 16.
constexpr size_t kRows = 48, kColumns = 256, kBlocks = 8;
constexpr double kOperations = 2.0 * kRows * kColumns * kBlocks * kLanes;
// Equal tasks for each thread, so that one that starts late leaves little to wait for.
constexpr size_t kTasksPerThread = 4;

AlignedBuffer<float> values_around_zero(size_t count, uint32_t seed) {
  AlignedBuffer<float> buffer(count);
  for (float& value : buffer.span()) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(seed) >> 8) * 0x1p-23f;
  }
  return buffer;
}

/// One product of a table: reads what it was made with and writes kResults floats.
using Product = std::function<void(const kernels::KernelTable& table, float* results)>;
constexpr size_t kResults = kBlocks * kRows * kLanes;

/// Operations per second of a product by all threads. Errors: kInternal (a result is not the scalar table's within
/// `tolerance`).
Result<double> measure_peak(ops::Exec& exec, double budget_s, const char* name, const Product& product,
                            float tolerance) {
  std::vector<AlignedBuffer<float>> results;  // by worker; empty: it got no task
  results.resize(static_cast<size_t>(exec.threads()));
  const size_t tasks = kTasksPerThread * results.size();
  const double seconds = fastest(budget_s, [&](size_t repeats) {
    exec.run(tasks, [&](size_t, int worker) {
      AlignedBuffer<float>& result = results[static_cast<size_t>(worker)];
      if (result.size() == 0) result = AlignedBuffer<float>(kResults);
      for (size_t i = 0; i < repeats; ++i) product(exec.kernels(), result.data());
    });
  });
  AlignedBuffer<float> expected(kResults);
  product(*kernels::available().front(), expected.data());
  for (const AlignedBuffer<float>& result : results)
    for (size_t i = 0; i < result.size(); ++i)
      if (!(std::abs(result.data()[i] - expected.data()[i]) < tolerance))
        return Unexpected(ErrorCode::kInternal,
                          base::concat(name, " peak: kernels ", exec.kernels().name, ": expected ", expected.data()[i],
                                       " at ", i, ", got ", result.data()[i]));
  return kOperations * static_cast<double>(tasks) / seconds;
}

/// Panels of 4-bit weights with any codes; every scale is 1/16.
AlignedBuffer<uint8_t> packed_weights() {
  constexpr size_t kSuperblocks = kRows / tensor::kPanelRows * tensor::superblocks_for(kColumns);
  AlignedBuffer<uint8_t> bytes(kSuperblocks * tensor::kSuperblockBytes4);
  uint32_t state = 3;
  for (size_t i = 0; i < bytes.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    const bool in_scales = i % tensor::kSuperblockBytes4 < tensor::kScaleBytes;
    bytes.data()[i] = in_scales ? (i % 2 != 0 ? 0x2c : 0) : static_cast<uint8_t>(state >> 24);  // 0x2c00: 1/16 as f16
  }
  return bytes;
}

}  // namespace

Result<double> measure_read_rate(ops::Exec& exec, double budget_s, uint64_t bytes) {
  const size_t tasks = std::max<size_t>(1, bytes / (kTaskWords * sizeof(uint64_t)));
  const size_t words = tasks * kTaskWords;
  const uint64_t available = base::available_memory_bytes();
  if (words * sizeof(uint64_t) > available)
    return Unexpected(ErrorCode::kOutOfMemory,
                      base::concat("bench: measuring the read rate takes ", base::bytes_text(words * sizeof(uint64_t)),
                                   " of memory, ", base::bytes_text(available), " are available"));
  DG_TRY_ASSIGN(const base::HugeMemory memory, base::HugeMemory::allocate(words * sizeof(uint64_t)));
  const auto part = [&memory](size_t task) { return reinterpret_cast<uint64_t*>(memory.data()) + task * kTaskWords; };
  exec.run(tasks, [&](size_t task, int) { std::iota(part(task), part(task) + kTaskWords, task * kTaskWords); });
  std::vector<uint64_t> sums(tasks);
  const double seconds = fastest(budget_s, [&](size_t repeats) {
    for (size_t i = 0; i < repeats; ++i)
      exec.run(tasks, [&](size_t task, int) { sums[task] = sum_words(part(task), kTaskWords); });
  });
  for (size_t task = 0; task < tasks; ++task) {
    const uint64_t first = task * kTaskWords, expected = kTaskWords * first + kTaskWords / 2 * (kTaskWords - 1);
    if (sums[task] != expected)
      return Unexpected(ErrorCode::kInternal, base::concat("read rate: expected the sum ", expected, " of part ", task,
                                                           ", got ", sums[task]));
  }
  return static_cast<double>(words * sizeof(uint64_t)) / seconds;
}

Result<double> measure_f32_peak(ops::Exec& exec, double budget_s) {
  const AlignedBuffer<float> w = values_around_zero(kRows * kColumns, 1);
  const AlignedBuffer<float> x = values_around_zero(kBlocks * kColumns * kLanes, 2);
  return measure_peak(
      exec, budget_s, "f32",
      [&](const kernels::KernelTable& table, float* results) {
        table.product_f32(w.data(), kColumns, x.data(), kColumns * kLanes, results, kRows * kLanes, kBlocks, kRows,
                          kColumns);
      },
      1e-3f);  // sums of 256 products below 1
}

Result<double> measure_bf16_peak(ops::Exec& exec, double budget_s) {
  constexpr size_t kPairs = tensor::paired_features(kColumns);
  const kernels::KernelTable& scalar = *kernels::available().front();
  const AlignedBuffer<float> w = values_around_zero(kRows * kColumns, 1);
  const AlignedBuffer<float> x = values_around_zero(kBlocks * kColumns * kLanes, 2);
  const AlignedBuffer<uint16_t> rounded(w.size());
  const AlignedBuffer<float> pairs(kBlocks * kPairs * kLanes);
  scalar.round_values(w.data(), w.size(), rounded.data());
  for (size_t b = 0; b < kBlocks; ++b)
    scalar.round_pairs(x.data() + b * kColumns * kLanes, kColumns, pairs.data() + b * kPairs * kLanes);
  return measure_peak(
      exec, budget_s, "bf16",
      [&](const kernels::KernelTable& table, float* results) {
        table.product_pairs(rounded.data(), kColumns, pairs.data(), kPairs * kLanes, results, kRows * kLanes, kBlocks,
                            kRows, kColumns);
      },
      1e-3f);  // products are exact, sums of 256 of them below 1
}

Result<double> measure_int8_peak(ops::Exec& exec, double budget_s) {
  constexpr size_t kQuantised = tensor::quantised_features(kColumns);
  const AlignedBuffer<uint8_t> w = packed_weights();
  const AlignedBuffer<float> x = values_around_zero(kBlocks * kColumns * kLanes, 2);
  const AlignedBuffer<float> quantised(kBlocks * kQuantised * kLanes);
  for (size_t b = 0; b < kBlocks; ++b)
    exec.kernels().quantise(x.data() + b * kColumns * kLanes, kColumns, quantised.data() + b * kQuantised * kLanes);
  return measure_peak(
      exec, budget_s, "int8",
      [&](const kernels::KernelTable& table, float* results) {
        table.product_packed4(w.data(), tensor::superblocks_for(kColumns) * tensor::kSuperblockBytes4, quantised.data(),
                              kQuantised * kLanes, results, kRows * kLanes, nullptr, kBlocks * kLanes, kRows, kColumns);
      },
      1e-3f);  // exact sums of 32 columns (amx: 64; all scales are equal), rounded when they are scaled and added
}

}  // namespace dgemma::engine
