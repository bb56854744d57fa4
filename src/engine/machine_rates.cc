// See machine_rates.h.
#include "engine/machine_rates.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>
#include <vector>

#include "base/format.h"
#include "base/huge_memory.h"
#include "base/memory.h"
#include "base/stopwatch.h"

namespace dgemma::engine {
namespace {

// What a round takes at least: long beside the waking of threads, short beside the time between two disturbances.
constexpr double kRoundSeconds = 3e-3;

/// Seconds of one repeat in the fastest of the rounds that fit into `budget_s`, of at least one. round(repeats) does
/// its work that often: once at first, then twice as often until a round is long enough.
double fastest(double budget_s, const std::function<void(size_t repeats)>& round) {
  double best = INFINITY;
  size_t repeats = 1;
  for (double spent = 0; spent < budget_s;) {
    const base::Stopwatch watch;
    round(repeats);
    const double seconds = watch.seconds();
    best = std::min(best, seconds / static_cast<double>(repeats)), spent += seconds;
    if (seconds < kRoundSeconds) repeats *= 2;
  }
  return best;
}

// Words that one task reads: 4 MiB, two huge pages.
constexpr size_t kTaskWords = size_t{1} << 19;
// How far ahead of its use a line is asked for: 0.5, 2 and 4 KiB, round by round. Which one is fastest, by some 4 %,
// depends on the machine (and on how wide the loop's loads are); the roof is what the best one reaches.
constexpr size_t kAheadWords[] = {64, 256, 512};

/// Sum of words, in eight sums so that additions do not wait for each other. count: a multiple of 8.
uint64_t sum_words(const uint64_t* words, size_t count, size_t ahead) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i < count; i += 8) {
    __builtin_prefetch(words + i + ahead);
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

// Equal tasks for each thread, so that one that starts late leaves little to wait for.
constexpr size_t kTasksPerThread = 4;
// Rounds of a call, some microseconds.
constexpr size_t kPeakRounds = 4000;

/// Operations per second of a table's peak function by all threads. Errors: kInternal (it finds its result wrong).
Result<double> measure_peak(ops::Exec& exec, double budget_s, const char* name, double (*peak)(size_t rounds)) {
  const double operations = peak(kPeakRounds);
  const size_t tasks = kTasksPerThread * static_cast<size_t>(exec.threads());
  std::atomic<bool> right{operations > 0};
  const double seconds = fastest(budget_s, [&](size_t repeats) {
    exec.run(tasks, [&](size_t, int) {
      for (size_t i = 0; i < repeats; ++i)
        if (peak(kPeakRounds) != operations) right.store(false, std::memory_order_relaxed);
    });
  });
  if (!right)
    return Unexpected(ErrorCode::kInternal,
                      base::concat(name, " peak: kernels ", exec.kernels().name, " give a wrong sum"));
  return operations * static_cast<double>(tasks) / seconds;
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
  size_t round = 0;
  const double seconds = fastest(budget_s, [&](size_t repeats) {
    const size_t ahead = kAheadWords[round++ % std::size(kAheadWords)];
    for (size_t i = 0; i < repeats; ++i)
      exec.run(tasks, [&](size_t task, int) { sums[task] = sum_words(part(task), kTaskWords, ahead); });
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
  return measure_peak(exec, budget_s, "f32", exec.kernels().peak_f32);
}

Result<double> measure_bf16_peak(ops::Exec& exec, double budget_s) {
  return measure_peak(exec, budget_s, "bf16", exec.kernels().peak_bf16);
}

Result<double> measure_int8_peak(ops::Exec& exec, double budget_s) {
  return measure_peak(exec, budget_s, "int8", exec.kernels().peak_int8);
}

}  // namespace dgemma::engine
