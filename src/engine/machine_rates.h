// What the machine can do at best, measured with the team of threads and the kernels that the model runs with: the
// roof that bench holds its parts against.
//
// Two numbers bound a sweep: bytes read from memory and multiply-adds per second. Both are the best of the short rounds
// that fit into `budget_s` seconds, since other programs can only slow them down; there is always one, whose work is
// little. Each result that is timed is also checked. Test: tests/engine/machine_rates_test.cc.
#pragma once

#include <cstdint>

#include "dgemma/result.h"
#include "ops/exec.h"

namespace dgemma::engine {

/// Bytes per second of a streaming read of `bytes` by all threads. Takes that much memory for the time.
/// Errors: kOutOfMemory, kInternal (the bytes read were wrong).
Result<double> measure_read_rate(ops::Exec& exec, double budget_s, uint64_t bytes);

/// Operations per second (a multiply-add is two) of the inner step of the table's f32 product, on registers alone, by
/// all threads: no product reaches it. Errors: kInternal (the steps gave a wrong sum).
Result<double> measure_f32_peak(ops::Exec& exec, double budget_s);
/// The same of the table's product of bf16 weights with bf16 activations.
Result<double> measure_bf16_peak(ops::Exec& exec, double budget_s);
/// The same of the table's integer product of 4-bit weights with 8-bit activations.
Result<double> measure_int8_peak(ops::Exec& exec, double budget_s);

}  // namespace dgemma::engine
