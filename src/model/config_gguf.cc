// Config from GGUF metadata, as llama.cpp's converter writes it. Source: docs/MODEL.md, "GGUF".
//
// Keys of the architecture have its name as prefix; those of the sampler have none. What the files do not say
// (which rotary pairs turn) comes from the tensor rope_freqs, see weights. Test: tests/model/config_test.cc.
#include <limits>

#include "base/format.h"
#include "model/config.h"
#include "model/config_rules.h"
#include "model/packed_file.h"

namespace dgemma::model {
namespace {

/// Reads the keys of one architecture.
class Keys {
 public:
  Keys(const formats::GgufFile& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

  Result<int> integer(const std::string& key, std::optional<int> fallback, int64_t least, int64_t most) const {
    return absolute_integer(prefix_ + key, fallback, least, most);
  }

  Result<int> absolute_integer(const std::string& key, std::optional<int> fallback, int64_t least, int64_t most) const {
    DG_TRY_ASSIGN(const std::optional<int64_t> value, file_.get_optional<int64_t>(key));
    if (!value && fallback) return *fallback;
    const std::string expected = base::concat("an integer from ", least, " to ", most);
    if (!value) return formats::bad_file(file_.path(), key, expected, "nothing");
    if (*value < least || *value > most) return formats::bad_file(file_.path(), key, expected, std::to_string(*value));
    return static_cast<int>(*value);
  }

  Result<double> real(const std::string& key, std::optional<double> fallback, double least, double most) const {
    DG_TRY_ASSIGN(const std::optional<double> value, file_.get_optional<double>(prefix_ + key));
    if (!value && fallback) return *fallback;
    const std::string expected = base::concat("a number from ", least, " to ", most);
    if (!value) return formats::bad_file(file_.path(), prefix_ + key, expected, "nothing");
    if (!(*value >= least && *value <= most))
      return formats::bad_file(file_.path(), prefix_ + key, expected, base::concat(*value));
    return *value;
  }

  /// One number for all layers, or one per layer.
  Result<std::vector<int64_t>> per_layer(const std::string& key, int layers) const {
    const std::string name = prefix_ + key;
    const formats::GgufValue* value = file_.find(name);
    if (value != nullptr && !value->is_array()) {
      DG_TRY_ASSIGN(const int64_t one, file_.get<int64_t>(name));
      return std::vector<int64_t>(static_cast<size_t>(layers), one);
    }
    DG_TRY_ASSIGN(std::vector<int64_t> list, file_.get<std::vector<int64_t>>(name));
    if (list.size() != static_cast<size_t>(layers))
      return formats::bad_file(file_.path(), name, base::concat(layers, " values"), base::concat(list.size()));
    return list;
  }

  /// A key that may be absent and otherwise has to say what the caller says. Errors: kModelFile.
  Result<void> same(const std::string& key, int64_t expected) const {
    DG_TRY_ASSIGN(const std::optional<int64_t> value, file_.get_optional<int64_t>(prefix_ + key));
    if (!value || *value == expected) return {};
    return formats::bad_file(file_.path(), prefix_ + key, std::to_string(expected), std::to_string(*value));
  }

  /// Frequencies are divided by rope_freqs only: other scaling is nowhere described for this architecture.
  Result<void> no_rope_scaling() const {
    DG_TRY_ASSIGN(const auto type, file_.get_optional<std::string_view>(prefix_ + "rope.scaling.type"));
    if (type && *type != "none")
      return formats::bad_file(file_.path(), prefix_ + "rope.scaling.type", "none", base::quoted(*type));
    DG_TRY(real("rope.scaling.factor", 1.0, 1.0, 1.0));
    return {};
  }

  bool has(const std::string& key) const { return file_.find(prefix_ + key) != nullptr; }
  std::string name(const std::string& key) const { return prefix_ + key; }

 private:
  const formats::GgufFile& file_;
  std::string prefix_;
};

Result<void> read_layers(const formats::GgufFile& file, const Keys& keys, Config& c) {
  c.layer.resize(static_cast<size_t>(c.layers));
  set_published_layer_kinds(c);
  if (keys.has("attention.sliding_window_pattern")) {
    DG_TRY_ASSIGN(const auto pattern, keys.per_layer("attention.sliding_window_pattern", c.layers));
    for (size_t i = 0; i < c.layer.size(); ++i) {
      if (pattern[i] != 0 && pattern[i] != 1)  // not a period, which other architectures put there
        return formats::bad_file(file.path(), keys.name("attention.sliding_window_pattern"),
                                 "true or false for each layer", std::to_string(pattern[i]));
      c.layer[i].sliding = pattern[i] == 1 && i + 1 != c.layer.size();
    }
  }
  DG_TRY_ASSIGN(const int full_dim, keys.integer("attention.key_length", std::nullopt, 2, 1 << 14));
  DG_TRY_ASSIGN(const int sliding_dim, keys.integer("attention.key_length_swa", full_dim, 2, 1 << 14));
  for (const char* key : {"attention.value_length", "rope.dimension_count"}) {
    DG_TRY(keys.same(key, full_dim));
    DG_TRY(keys.same(std::string(key) + "_swa", sliding_dim));
  }
  DG_TRY_ASSIGN(const auto kv_heads, keys.per_layer("attention.head_count_kv", c.layers));
  for (size_t i = 0; i < c.layer.size(); ++i) {
    c.layer[i].head_dim = c.layer[i].sliding ? sliding_dim : full_dim;
    c.layer[i].kv_heads = kv_heads[i] > 0 && kv_heads[i] <= c.heads ? static_cast<int>(kv_heads[i]) : 0;
  }
  return {};
}

Result<void> read_sampler(const Keys& keys, SamplerOptions& s) {
  const auto real = [&](const char* key, std::optional<double>& to) -> Result<void> {
    if (!keys.has(key)) return {};
    DG_TRY_ASSIGN(to, keys.real(key, std::nullopt, 0.0, 1e6));
    return {};
  };
  const auto integer = [&](const char* key, int64_t least, std::optional<int>& to) -> Result<void> {
    if (!keys.has(key)) return {};
    DG_TRY_ASSIGN(to, keys.integer(key, std::nullopt, least, kMostSteps));
    return {};
  };
  DG_TRY(integer("eb_max_steps", 1, s.max_denoising_steps));
  DG_TRY(integer("eb_stability_threshold", 0, s.stability_threshold));
  DG_TRY(real("eb_t_min", s.t_min));
  DG_TRY(real("eb_t_max", s.t_max));
  DG_TRY(real("eb_entropy_bound", s.entropy_bound));
  return real("eb_confidence_threshold", s.confidence_threshold);
}

/// The end tokens that GGUF has keys for; the chat format's own are found by name (engine/model_source.cc).
Result<std::vector<int32_t>> read_end_tokens(const Keys& keys) {
  constexpr int kMostId = std::numeric_limits<int32_t>::max();
  DG_TRY_ASSIGN(const int eos, keys.absolute_integer("tokenizer.ggml.eos_token_id", 1, 0, kMostId));
  DG_TRY_ASSIGN(const int end_of_turn, keys.absolute_integer("tokenizer.ggml.eot_token_id", eos, 0, kMostId));
  if (end_of_turn == eos) return std::vector<int32_t>{eos};
  return std::vector<int32_t>{eos, end_of_turn};
}

/// The rows of the embedding; in a packed file, which has none, they stand under a key.
Result<int> vocabulary_size(const Keys& keys, const formats::GgufFile& file) {
  constexpr int64_t kMostTokens = 1 << 26;
  if (file.find(kPackedVocabularyKey) != nullptr)
    return keys.absolute_integer(kPackedVocabularyKey, {}, 1, kMostTokens);
  const formats::TensorEntry* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2 || embedding->shape[0] > kMostTokens)
    return formats::bad_file(file.path(), "token_embd.weight", "a matrix with a row for each token",
                             embedding == nullptr ? "no tensor" : formats::shape_text(embedding->shape));
  return static_cast<int>(embedding->shape[0]);
}

}  // namespace

Result<Config> config_from_gguf(const formats::GgufFile& file) {
  DG_TRY_ASSIGN(const std::string_view architecture, file.get<std::string_view>("general.architecture"));
  if (architecture != "diffusion-gemma" && architecture != "diffusion_gemma")
    return formats::bad_file(file.path(), "general.architecture", "diffusion-gemma", base::quoted(architecture));
  DG_TRY_ASSIGN(const auto parts, file.get_optional<int64_t>("split.count"));
  if (parts.value_or(1) > 1)
    return formats::bad_file(file.path(), "split.count", "a model in one file",
                             base::concat("one of ", *parts, " parts. Join them with llama.cpp's gguf-split --merge"));
  const Keys keys(file, std::string(architecture) + ".");
  const Keys diffusion(file, "diffusion.");
  constexpr int kMostSize = 1 << 24;

  Config c;
  DG_TRY_ASSIGN(c.canvas_length, diffusion.integer("canvas_length", std::nullopt, 1, 1 << 16));
  DG_TRY_ASSIGN(c.layers, keys.integer("block_count", std::nullopt, 1, 4096));
  DG_TRY_ASSIGN(c.width, keys.integer("embedding_length", std::nullopt, 1, kMostSize));
  DG_TRY_ASSIGN(c.heads, keys.integer("attention.head_count", std::nullopt, 1, 1 << 14));
  DG_TRY_ASSIGN(c.dense_width, keys.integer("feed_forward_length", std::nullopt, 1, kMostSize));
  DG_TRY_ASSIGN(c.experts, keys.integer("expert_count", std::nullopt, 1, 1 << 16));
  DG_TRY_ASSIGN(c.experts_used, keys.integer("expert_used_count", std::nullopt, 1, 1 << 16));
  DG_TRY_ASSIGN(c.expert_width, keys.integer("expert_feed_forward_length", std::nullopt, 1, kMostSize));
  DG_TRY_ASSIGN(c.window, keys.integer("attention.sliding_window", std::nullopt, 1, 1 << 30));
  DG_TRY_ASSIGN(c.context_length, keys.integer("context_length", std::nullopt, 1, 1 << 26));
  DG_TRY_ASSIGN(c.softcap, keys.real("final_logit_softcapping", 30.0, 1e-3, 1e6));
  DG_TRY_ASSIGN(c.norm_eps, keys.real("attention.layer_norm_rms_epsilon", 1e-6, 0.0, 1.0));
  DG_TRY_ASSIGN(c.full_rope.theta, keys.real("rope.freq_base", 1e6, 1.0, 1e12));
  DG_TRY_ASSIGN(c.sliding_rope.theta, keys.real("rope.freq_base_swa", 1e4, 1.0, 1e12));
  // Which pairs turn stands in rope_freqs; without that tensor it is the published quarter.
  c.full_rope.partial_rotary_factor = file.find_tensor("rope_freqs.weight") != nullptr ? 1.0 : 0.25;
  for (const char* unsupported : {"attention.shared_kv_layers", "embedding_length_per_layer_input"})
    DG_TRY(keys.same(unsupported, 0));
  DG_TRY(keys.no_rope_scaling());
  DG_TRY_ASSIGN(const auto causal, file.get_optional<bool>(std::string(architecture) + ".attention.causal"));
  if (causal.value_or(false))
    return formats::bad_file(file.path(), std::string(architecture) + ".attention.causal", "false", "true");
  DG_TRY_ASSIGN(c.vocab, vocabulary_size(keys, file));

  DG_TRY(read_layers(file, keys, c));
  DG_TRY(read_sampler(diffusion, c.sampler));
  constexpr int kMostId = std::numeric_limits<int32_t>::max();
  DG_TRY_ASSIGN(c.bos_id, keys.absolute_integer("tokenizer.ggml.bos_token_id", 2, 0, kMostId));
  DG_TRY_ASSIGN(c.eos_ids, read_end_tokens(keys));
  DG_TRY(check_sampler(c.sampler, file.path()));
  DG_TRY(check_config(c, file.path()));
  return c;
}

}  // namespace dgemma::model
