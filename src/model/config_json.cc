// Config from config.json and generation_config.json, of old and new transformers versions.
//
// New versions write the full layers' head sizes as per_layer_config, old ones as global_head_dim and
// num_global_key_value_heads; layer_types may be absent. null means "the default" everywhere.
// Test: tests/model/config_test.cc.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/format.h"
#include "formats/json.h"
#include "model/config.h"
#include "model/config_rules.h"

namespace dgemma::model {
namespace {

using nlohmann::json;

/// One object of a JSON file, read field by field; a wrong field is an error that names it.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const json* find(const char* name) const {
    const auto it = object_.is_object() ? object_.find(name) : object_.end();
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }

  Result<int> integer(const char* name, std::optional<int> fallback, int least, int most) const {
    const json* value = find(name);
    if (value == nullptr && fallback) return *fallback;
    const std::string expected = base::concat("an integer from ", least, " to ", most);
    if (value == nullptr) return wrong(name, expected, "nothing");
    if (!value->is_number_integer()) return wrong(name, expected, value->dump());
    const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{std::numeric_limits<int>::max()};
    const int64_t number = huge ? std::numeric_limits<int64_t>::max() : value->get<int64_t>();
    if (number < least || number > most) return wrong(name, expected, value->dump());
    return static_cast<int>(number);
  }

  Result<double> real(const char* name, std::optional<double> fallback, double least, double most) const {
    const json* value = find(name);
    if (value == nullptr && fallback) return *fallback;
    const std::string expected = base::concat("a number from ", least, " to ", most);
    if (value == nullptr) return wrong(name, expected, "nothing");
    if (!value->is_number()) return wrong(name, expected, value->dump());
    const double number = value->get<double>();
    if (!(number >= least && number <= most)) return wrong(name, expected, value->dump());
    return number;
  }

  Result<bool> boolean(const char* name, bool fallback) const {
    const json* value = find(name);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return wrong(name, "true or false", value->dump());
    return value->get<bool>();
  }

  /// One id or a list of ids; absent: empty.
  Result<std::vector<int32_t>> ids(const char* name) const {
    const json* value = find(name);
    std::vector<int32_t> list;
    if (value == nullptr) return list;
    const json wrapped = value->is_array() ? *value : json::array({*value});
    for (const json& id : wrapped) {
      if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<int32_t>::max())
        return wrong(name, "token ids", value->dump());
      list.push_back(id.get<int32_t>());
    }
    return list;
  }

  Unexpected wrong(const char* name, const std::string& expected, const std::string& got) const {
    return {ErrorCode::kModelFile,
            base::concat(where_, ": ", name, ": expected ", expected, ", got ", base::quoted(got))};
  }

 private:
  const json& object_;
  std::string where_;
};

constexpr int kMostSize = 1 << 24;

/// One layer kind's rotary embedding, by the rules of transformers: a missing type is `default`, a missing
/// partial_rotary_factor 1, and only `proportional` leaves pairs unturned (the others are refused there).
Result<RopeConfig> read_rope(const Fields& text, const std::string& path, const char* kind, RopeConfig published) {
  const json* all = text.find("rope_parameters");
  if (all == nullptr) return published;
  const auto it = all->find(kind);
  if (it == all->end() || !it->is_object())
    return text.wrong("rope_parameters", base::concat("an object with the object ", kind), all->dump());
  const Fields fields(*it, path + ": rope_parameters." + kind);
  const json* given = fields.find("rope_type");
  if (given == nullptr) given = fields.find("type");
  const json type = given != nullptr ? *given : json("default");
  if (type != "default" && type != "linear" && type != "proportional")
    return fields.wrong("rope_type", "default, linear or proportional", type.dump());
  RopeConfig rope = {published.theta, 1.0, 1.0};
  DG_TRY_ASSIGN(rope.theta, fields.real("rope_theta", published.theta, 1.0, 1e12));
  DG_TRY_ASSIGN(rope.partial_rotary_factor, fields.real("partial_rotary_factor", 1.0, 0.0, 1.0));
  if (type != "proportional" && rope.partial_rotary_factor != 1.0)
    return fields.wrong("partial_rotary_factor", "1 with rope_type " + type.get<std::string>(),
                        base::concat(rope.partial_rotary_factor));
  const std::optional<double> unscaled = type == "linear" ? std::nullopt : std::optional(1.0);
  if (type != "default") {
    DG_TRY_ASSIGN(rope.factor, fields.real("factor", unscaled, 1e-6, 1e6));
  }
  return rope;
}

Result<void> read_layer_kinds(const Fields& text, Config& c) {
  const json* kinds = text.find("layer_types");
  set_published_layer_kinds(c);
  if (kinds == nullptr) return {};
  if (!kinds->is_array() || kinds->size() != static_cast<size_t>(c.layers))
    return text.wrong("layer_types", base::concat("a list of ", c.layers, " kinds"), kinds->dump());
  for (size_t i = 0; i < c.layer.size(); ++i) {
    const json& kind = (*kinds)[i];
    if (kind != "sliding_attention" && kind != "full_attention")
      return text.wrong("layer_types", "sliding_attention or full_attention", kind.dump());
    c.layer[i].sliding = kind == "sliding_attention" && i + 1 != c.layer.size();  // the last layer is always full
  }
  return {};
}

Result<void> read_heads(const Fields& text, const std::string& path, Config& c) {
  DG_TRY_ASSIGN(const int head_dim, text.integer("head_dim", 256, 2, 1 << 14));
  DG_TRY_ASSIGN(const int kv_heads, text.integer("num_key_value_heads", std::nullopt, 1, 1 << 14));
  const json* per_layer = text.find("per_layer_config");
  if (per_layer != nullptr && !per_layer->is_object())
    return text.wrong("per_layer_config", "an object", per_layer->dump());
  DG_TRY_ASSIGN(const int global_dim, text.integer("global_head_dim", 512, 2, 1 << 14));
  DG_TRY_ASSIGN(const int global_kv, text.integer("num_global_key_value_heads", kv_heads, 1, 1 << 14));
  for (LayerConfig& layer : c.layer) {  // where both spellings are there the new one counts, as in transformers
    const bool global = !layer.sliding && per_layer == nullptr;
    layer.head_dim = global ? global_dim : head_dim;
    layer.kv_heads = global ? global_kv : kv_heads;
  }
  if (per_layer == nullptr) return {};
  std::vector<bool> seen(c.layer.size());
  for (const auto& [key, values] : per_layer->items()) {
    size_t i = 0;  // keys of ten and more layers are padded: "05"
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), i);
    if (error != std::errc() || end != key.data() + key.size() || i >= c.layer.size())
      return text.wrong("per_layer_config", base::concat("layers from 0 to ", c.layer.size() - 1), key);
    if (seen[i]) return text.wrong("per_layer_config", "each layer once", key);
    seen[i] = true;
    bool known = values.is_object();
    if (known)
      for (const auto& [name, value] : values.items()) known &= name == "head_dim" || name == "num_key_value_heads";
    if (!known) return text.wrong("per_layer_config", "objects with head_dim and num_key_value_heads", values.dump());
    const Fields own(values, base::concat(path, ": per_layer_config.", key));
    DG_TRY_ASSIGN(c.layer[i].head_dim, own.integer("head_dim", c.layer[i].head_dim, 2, 1 << 14));
    DG_TRY_ASSIGN(c.layer[i].kv_heads, own.integer("num_key_value_heads", c.layer[i].kv_heads, 1, 1 << 14));
  }
  return {};
}

/// The keys that are neither read nor known to be without effect here. Transformers, as of 5.24, refuses such a file;
/// a later one may know a key that this program does not, so the model is taken and the user is told.
std::string unknown_keys(const json& generation) {
  constexpr std::array<std::string_view, 15> kKnown = {
      "max_denoising_steps", "t_min", "t_max", "stability_threshold", "confidence_threshold", "sampler_config",
      "eos_token_id",
      // Of how Python's generate() is called and what it keeps; its limits of length are the user's affair here.
      "max_new_tokens", "max_length", "return_dict_in_generate", "cache_implementation", "cache_config",
      "disable_compile", "bos_token_id", "pad_token_id"};
  constexpr size_t kMostNamed = 8;
  std::string names;
  size_t unknown = 0;
  for (const auto& [key, value] : generation.items()) {
    const bool note = key.starts_with('_') || key == "transformers_version";  // of who wrote it
    if (note || value.is_null() || std::ranges::find(kKnown, key) != kKnown.end()) continue;
    if (++unknown <= kMostNamed) names += (names.empty() ? "" : ", ") + base::quoted(key);
  }
  return unknown > kMostNamed ? base::concat(names, " and ", unknown - kMostNamed, " more") : names;
}

Result<void> read_generation(std::string_view text, const std::string& path, Config& c) {
  if (text.empty()) return {};
  DG_TRY_ASSIGN(const json root, formats::parse_json(text, path));
  if (!root.is_object())
    return Unexpected(ErrorCode::kModelFile, path + ": expected a JSON object, got " + root.type_name());
  const Fields fields(root, path);
  const json none = json::object();
  const json* nested = fields.find("sampler_config");
  if (nested != nullptr && !nested->is_object()) return fields.wrong("sampler_config", "an object", nested->dump());
  const Fields sampler(nested != nullptr ? *nested : none, path + ": sampler_config");
  const json* sampler_class = sampler.find("_cls_name");
  if (sampler_class != nullptr && *sampler_class != "EntropyBoundSamplerConfig")
    return sampler.wrong("_cls_name", "EntropyBoundSamplerConfig", sampler_class->dump());
  if (nested != nullptr)
    for (const auto& [name, value] : nested->items())
      if (name != "_cls_name" && name != "entropy_bound")
        return fields.wrong("sampler_config", "entropy_bound and nothing else", name);
  SamplerOptions& s = c.sampler;
  if (fields.find("max_denoising_steps") != nullptr) {
    DG_TRY_ASSIGN(s.max_denoising_steps, fields.integer("max_denoising_steps", std::nullopt, 1, kMostSteps));
  }
  const auto read = [](const Fields& from, const char* name, std::optional<double>& to) -> Result<void> {
    if (from.find(name) == nullptr) return {};
    DG_TRY_ASSIGN(to, from.real(name, std::nullopt, 0.0, 1e6));
    return {};
  };
  DG_TRY(read(fields, "t_min", s.t_min));
  DG_TRY(read(fields, "t_max", s.t_max));
  DG_TRY(read(sampler, "entropy_bound", s.entropy_bound));
  DG_TRY(read(fields, "confidence_threshold", s.confidence_threshold));
  if (fields.find("stability_threshold") != nullptr) {
    DG_TRY_ASSIGN(s.stability_threshold, fields.integer("stability_threshold", std::nullopt, 0, kMostSteps));
  }
  DG_TRY_ASSIGN(std::vector<int32_t> eos, fields.ids("eos_token_id"));
  if (!eos.empty()) c.eos_ids = std::move(eos), c.eos_listed = true;
  if (const std::string unknown = unknown_keys(root); !unknown.empty()) c.ignored = base::concat(path, ": ", unknown);
  return {};
}

}  // namespace

Result<Config> config_from_json(std::string_view config, const std::string& config_path, std::string_view generation,
                                const std::string& generation_path) {
  DG_TRY_ASSIGN(const json root, formats::parse_json(config, config_path));
  if (!root.is_object())
    return Unexpected(ErrorCode::kModelFile, config_path + ": expected a JSON object, got " + root.type_name());
  const Fields top(root, config_path);
  const json* type = top.find("model_type");
  if (type != nullptr && *type != "diffusion_gemma" && *type != "diffusion_gemma_text")
    return top.wrong("model_type", "diffusion_gemma", type->dump());
  const json* nested = top.find("text_config");
  if (nested != nullptr && !nested->is_object()) return top.wrong("text_config", "an object", nested->dump());
  const Fields text(nested != nullptr ? *nested : root, config_path);

  Config c;
  DG_TRY_ASSIGN(c.canvas_length, top.integer("canvas_length", 256, 1, 1 << 16));
  DG_TRY_ASSIGN(c.layers, text.integer("num_hidden_layers", std::nullopt, 1, 4096));
  DG_TRY_ASSIGN(c.width, text.integer("hidden_size", std::nullopt, 1, kMostSize));
  DG_TRY_ASSIGN(c.heads, text.integer("num_attention_heads", std::nullopt, 1, 1 << 14));
  DG_TRY_ASSIGN(c.dense_width, text.integer("intermediate_size", std::nullopt, 1, kMostSize));
  DG_TRY_ASSIGN(c.experts, text.integer("num_experts", std::nullopt, 1, 1 << 16));
  DG_TRY_ASSIGN(c.experts_used, text.integer("top_k_experts", std::nullopt, 1, 1 << 16));
  DG_TRY_ASSIGN(c.expert_width, text.integer("moe_intermediate_size", std::nullopt, 1, kMostSize));
  DG_TRY_ASSIGN(c.vocab, text.integer("vocab_size", std::nullopt, 1, 1 << 26));
  DG_TRY_ASSIGN(c.window, text.integer("sliding_window", std::nullopt, 1, 1 << 30));
  DG_TRY_ASSIGN(c.context_length, text.integer("max_position_embeddings", 131072, 1, 1 << 26));
  DG_TRY_ASSIGN(c.softcap, text.real("final_logit_softcapping", 30.0, 1e-3, 1e6));
  DG_TRY_ASSIGN(c.norm_eps, text.real("rms_norm_eps", 1e-6, 0.0, 1.0));
  const json* activation = text.find("hidden_activation");
  if (activation != nullptr && *activation != "gelu_pytorch_tanh")
    return text.wrong("hidden_activation", "gelu_pytorch_tanh", activation->dump());
  DG_TRY_ASSIGN(c.tied, top.boolean("tie_word_embeddings", true));
  const json* bias = text.find("attention_bias");
  if (bias != nullptr && *bias != false) return text.wrong("attention_bias", "false", bias->dump());
  const json* both = text.find("use_bidirectional_attention");
  if (both != nullptr && *both != "vision")
    return text.wrong("use_bidirectional_attention", "vision or null", both->dump());

  c.layer.resize(static_cast<size_t>(c.layers));
  DG_TRY(read_layer_kinds(text, c));
  DG_TRY_ASSIGN(c.full_rope, read_rope(text, config_path, "full_attention", {1e6, 0.25, 1.0}));
  if (std::ranges::any_of(c.layer, &LayerConfig::sliding)) {
    DG_TRY_ASSIGN(c.sliding_rope, read_rope(text, config_path, "sliding_attention", {1e4, 1.0, 1.0}));
  }
  DG_TRY(read_heads(text, config_path, c));
  DG_TRY_ASSIGN(c.bos_id, text.integer("bos_token_id", 2, 0, std::numeric_limits<int32_t>::max()));
  DG_TRY_ASSIGN(c.eos_ids, text.ids("eos_token_id"));
  DG_TRY(read_generation(generation, generation_path, c));
  DG_TRY(check_sampler(c.sampler, generation_path));
  DG_TRY(check_config(c, config_path));
  return c;
}

}  // namespace dgemma::model
