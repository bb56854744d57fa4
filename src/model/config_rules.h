// What must hold between the values of a Config, wherever they were read. Internal to config_*.cc.
#pragma once

#include <string>

#include "dgemma/result.h"
#include "model/config.h"

namespace dgemma::model {

/// The published kinds of layers, where the file does not say: each sixth one and the last are full, the others sliding.
void set_published_layer_kinds(Config& config);
/// Errors: kModelFile with the fields that contradict each other.
Result<void> check_config(const Config& config, const std::string& path);
/// The same of the sampler's values, which may stand in a file of their own.
Result<void> check_sampler(const SamplerOptions& sampler, const std::string& path);

}  // namespace dgemma::model
