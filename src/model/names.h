// TensorNames: what each tensor of a model is called, in safetensors and in GGUF, and the shape that the config asks
// for.
//
// The one list that binding, `dgemma inspect` and its "missing" column go by. A tensor may have several names (tied
// copies, renamed files); the first is canonical. Source: docs/MODEL.md section 2 and "GGUF".
// Test: tests/model/weights_test.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace dgemma::model {

/// What a tensor is for.
enum class Role {
  kEmbedding,
  kHead,
  kFinalNorm,
  kRopeDivisors,
  kConditioningNorm,
  kConditioningGate,
  kConditioningUp,
  kConditioningDown,
  kInputNorm,
  kPostAttentionNorm,
  kPreFeedforwardNorm,
  kPostFeedforwardNorm,
  kPostFeedforwardNorm1,
  kPostFeedforwardNorm2,
  kPreFeedforwardNorm2,
  kQuery,
  kKey,
  kValue,
  kOutput,
  kQueryNorm,
  kKeyNorm,
  kGate,
  kUp,
  kDown,
  kRouter,
  kRouterScale,
  kPerExpertScale,
  kExpertGateUp,
  kExpertGate,
  kExpertUp,
  kExpertDown,
  kDecoderScalar,
  kEncoderScalar,
};

/// What a tensor is for: a matrix is used in products and may stay mapped, a vector is expanded to f32.
enum class Use { kVector, kMatrix };

struct TensorName {
  Role role;
  int layer = -1;                  ///< -1: none
  std::vector<std::string> names;  ///< canonical first; all that exist must be equal (but kHeadName: binder.cc)
  std::vector<uint64_t> shape;     ///< slowest dimension first
  Use use = Use::kVector;
  bool required = true;
};

/// The last name of the embedding in safetensors: a copy that some tools store, or, with other values, a head of its
/// own.
inline constexpr const char* kHeadName = "lm_head.weight";

/// All tensors of a model in one naming scheme, what all layers share first.
std::vector<TensorName> safetensors_names(const Config& config);
std::vector<TensorName> gguf_names(const Config& config);

/// The layer that a tensor's name puts it into, in either scheme; -1: none.
int64_t layer_in_name(std::string_view name);

/// "vision" for tensors of the vision tower, "unknown" otherwise; for names that are in neither list.
const char* foreign_kind(const std::string& name);

}  // namespace dgemma::model
