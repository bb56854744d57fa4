// The sampler's values in force: the request's, else the checkpoint's, else the published ones; checked.
#pragma once

#include "dgemma/events.h"
#include "dgemma/options.h"
#include "dgemma/result.h"

namespace dgemma::engine {

/// Errors: kInvalidRequest, with the field's name, what was expected and what was given.
Result<SamplerValues> resolve_sampler(const SamplerOptions& request, const SamplerOptions& checkpoint);

}  // namespace dgemma::engine
