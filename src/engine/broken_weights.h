// Which tensor is to blame when a model computes numbers that are not finite, or cannot be packed.
//
// Looked for only then: a walk over all weights would take longer than mapping them. Tests:
// tests/engine/session_test.cc, bench_test.cc, engine_test.cc.
#pragma once

#include "dgemma/result.h"
#include "formats/checkpoint.h"

namespace dgemma::engine {

/// kModelFile: the file and the first tensor with a value that is not finite; where all are, it names the model.
Unexpected broken_weights(const formats::Checkpoint& checkpoint);
/// The same, but `otherwise` where all are finite.
Unexpected broken_weights(const formats::Checkpoint& checkpoint, Error otherwise);

}  // namespace dgemma::engine
