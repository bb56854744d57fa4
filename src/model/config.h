// Config: every size and constant of a DiffusionGemma, read from config.json or GGUF metadata.
//
// Nothing is assumed: a three-layer model with four experts is loaded by the same code as the 26B. Values that
// contradict each other are refused here, with the field's name; what contradicts the tensors is refused in binder.cc.
// Source: docs/MODEL.md section 1; transformers' configuration_diffusion_gemma.py. Tests: tests/model/config_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dgemma/inspect.h"
#include "dgemma/options.h"
#include "dgemma/result.h"
#include "formats/gguf.h"

namespace dgemma::model {

/// Rotary embedding of one layer kind: pairs (i, i + head_dim / 2) turn by position * inverse_frequency[i].
struct RopeConfig {
  double theta = 0;
  /// Only the first partial_rotary_factor of the head_dim / 2 pairs turn ("proportional"); the others keep still.
  double partial_rotary_factor = 1;
  double factor = 1;  ///< divides the inverse frequencies ("linear", and "proportional" with a factor)
};

struct LayerConfig {
  bool sliding = false;
  int head_dim = 0;  ///< Dh
  int kv_heads = 0;  ///< K
};

struct Config {
  int layers = 0;
  int width = 0;           ///< D
  int heads = 0;           ///< H
  int dense_width = 0;     ///< F
  int experts = 0;         ///< E
  int experts_used = 0;    ///< T
  int expert_width = 0;    ///< Fe
  int vocab = 0;           ///< V
  int window = 0;          ///< W
  int canvas_length = 0;   ///< L
  int context_length = 0;  ///< most positions
  bool tied = true;        ///< tie_word_embeddings: head and encoder share the decoder's tensors
  double softcap = 30;
  double norm_eps = 1e-6;
  RopeConfig sliding_rope, full_rope;
  std::vector<LayerConfig> layer;  ///< [layers]
  int32_t bos_id = 2;
  std::vector<int32_t> eos_ids;  ///< of the checkpoint, generation_config.json first
  bool eos_listed = false;       ///< generation_config.json gave them: they are all there are
  SamplerOptions sampler;        ///< of the checkpoint; empty fields: the published defaults
  std::string ignored;           ///< what generation_config.json sets in vain: "PATH: 'top_k', 'top_p'"; "" for nothing
};

/// config.json and, where the folder has one, generation_config.json ("" if not), as texts; paths for messages.
Result<Config> config_from_json(std::string_view config, const std::string& config_path, std::string_view generation,
                                const std::string& generation_path);
/// GGUF metadata of architecture diffusion-gemma.
Result<Config> config_from_gguf(const formats::GgufFile& file);

/// Name and value of every field as text, in the order of docs/MODEL.md; for `dgemma inspect`.
std::vector<std::pair<std::string, std::string>> describe(const Config& config);
/// The same as values: a list by layer where layers may differ, sampler values only where the checkpoint has them.
std::vector<std::pair<std::string, ConfigValue>> config_values(const Config& config);

}  // namespace dgemma::model
