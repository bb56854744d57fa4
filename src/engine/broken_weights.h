// Which tensor is to blame when a model computes numbers that are not finite.
//
// Looked for only then: a walk over all weights would take longer than loading them. Tests:
// tests/engine/session_test.cc, bench_test.cc.
#pragma once

#include "dgemma/result.h"
#include "formats/checkpoint.h"

namespace dgemma::engine {

/// kModelFile: the file and the first tensor with a value that is not finite, or the model where all are.
Unexpected broken_weights(const formats::Checkpoint& checkpoint);

}  // namespace dgemma::engine
