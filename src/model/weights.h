// Weights: the tensors of a checkpoint bound to the places where the passes use them.
//
// Matrices are used where the file is mapped, in whatever type it has; small vectors (and misaligned f32 and bf16
// matrices) are expanded once into memory of our own, checked against what the machine has before it is taken. Tied
// names and both naming schemes (safetensors, GGUF) are resolved here and nowhere else.
// Source: docs/MODEL.md section 2, "GGUF". Tests: tests/model/weights_test.cc.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/huge_memory.h"
#include "dgemma/inspect.h"
#include "dgemma/options.h"
#include "dgemma/result.h"
#include "formats/checkpoint.h"
#include "model/config.h"
#include "ops/experts.h"
#include "ops/vocabulary.h"
#include "tensor/blocks.h"
#include "tensor/weight.h"

namespace dgemma::model {

struct LayerWeights {
  const float* input_norm = nullptr;           ///< [D], input_layernorm
  const float* post_attention_norm = nullptr;  ///< [D]
  const float* pre_feedforward_norm = nullptr;
  const float* post_feedforward_norm = nullptr;
  const float* post_feedforward_norm_1 = nullptr;
  const float* post_feedforward_norm_2 = nullptr;
  const float* pre_feedforward_norm_2 = nullptr;
  tensor::Weight q, k, v, o;                ///< v is empty on full layers: values come from k
  const float* q_norm = nullptr;            ///< [Dh]
  const float* k_norm = nullptr;            ///< [Dh]
  tensor::Weight gate, up, down;            ///< dense MLP: [F, D], [F, D], [D, F]
  tensor::Weight router;                    ///< [E, D]
  const float* router_scale = nullptr;      ///< [D], times D^-0.5
  const float* per_expert_scale = nullptr;  ///< [E]
  ops::ExpertWeights experts;
  float decoder_scalar = 1, encoder_scalar = 1;  ///< layer_scalar of the denoise and of the encode pass
};

struct SelfConditioningWeights {
  const float* pre_norm = nullptr;  ///< [D]
  tensor::Weight gate, up, down;    ///< [F, D], [F, D], [D, F]
};

struct Weights {
  std::vector<LayerWeights> layer;
  SelfConditioningWeights self_conditioning;
  const float* final_norm = nullptr;  ///< [D]
  std::vector<float> rope_divisors;   ///< [Dh / 2] of full layers, from GGUF's rope_freqs; empty: none
  ops::VocabularyWeights vocabulary;
  uint64_t parameters = 0;
  uint64_t resident_bytes = 0;  ///< mapped and owned

  std::vector<tensor::AlignedBuffer<std::byte>> owned;
  base::HugeMemory packed;  ///< of pack_weights (model/packing.h)
};

/// What loading takes and what is wrong, from headers, and from the data of tied copies.
struct BindingReport {
  std::vector<TensorReport> tensors;
  std::vector<std::string> missing;
  std::vector<std::string> problems;  ///< why binding fails, missing tensors among it
  uint64_t parameters = 0;
  uint64_t expanded_bytes = 0;  ///< memory of our own that binding takes
  uint64_t packed_bytes = 0;    ///< and packing; 0 for a packed file, and where something is missing or wrong
};
BindingReport examine_weights(const formats::Checkpoint& checkpoint, const Config& config);

/// Binds every tensor. The checkpoint must stay open while the weights are used. Errors: kModelFile (missing, wrong
/// shape, wrong type, tied copies that differ), kOutOfMemory (expanded copies do not fit: how much, for what).
Result<Weights> bind_weights(const formats::Checkpoint& checkpoint, const Config& config,
                             const std::function<void(const LoadProgress&)>& progress);

}  // namespace dgemma::model
