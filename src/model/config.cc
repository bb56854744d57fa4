// See config.h: the rules between fields and the description; reading is in config_json.cc and config_gguf.cc.
#include "model/config.h"

#include "base/format.h"
#include "dgemma/events.h"
#include "model/config_rules.h"

namespace dgemma::model {
namespace {

std::string id_list(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += (text.empty() ? "" : ", ") + std::to_string(id);
  return text.empty() ? "none" : text;
}

std::string sliding_layers(const Config& c) {
  std::string text;
  for (const LayerConfig& layer : c.layer) text += layer.sliding ? 's' : 'F';
  return text;
}

/// The two kinds' values, "8 sliding, 2 full"; one value where they are equal or only one kind is there.
template <class Get>
std::string by_kind(const Config& c, Get get) {
  std::string sliding, full;
  for (const LayerConfig& layer : c.layer) (layer.sliding ? sliding : full) = std::to_string(get(layer));
  if (sliding.empty() || sliding == full) return full;
  return sliding + " sliding, " + full + " full";
}

/// What divides the frequencies, where anything does.
std::string scaling(const RopeConfig& rope) { return rope.factor == 1 ? "" : base::concat(" / ", rope.factor); }

}  // namespace

void set_published_layer_kinds(Config& c) {
  for (size_t i = 0; i < c.layer.size(); ++i) c.layer[i].sliding = (i + 1) % 6 != 0 && i + 1 != c.layer.size();
}

Result<void> check_config(const Config& c, const std::string& path) {
  const auto wrong = [&](const std::string& text) { return Unexpected(ErrorCode::kModelFile, path + ": " + text); };
  if (c.experts_used > c.experts)
    return wrong(base::concat("experts used per token: expected at most ", c.experts, ", got ", c.experts_used));
  for (size_t i = 0; i < c.layer.size(); ++i) {
    const LayerConfig& layer = c.layer[i];
    if (layer.kv_heads < 1 || c.heads % layer.kv_heads != 0)
      return wrong(base::concat("layer ", i, ": expected a number of key/value heads that divides ", c.heads, ", got ",
                                layer.kv_heads));
    if (layer.head_dim < 2 || layer.head_dim % 2 != 0)
      return wrong(base::concat("layer ", i, ": expected an even head width, got ", layer.head_dim));
    for (const LayerConfig& other : c.layer)
      if (other.sliding == layer.sliding && other.head_dim != layer.head_dim)
        return wrong(base::concat("layer ", i, ": expected one head width for all layers of a kind, got ",
                                  layer.head_dim, " and ", other.head_dim));
  }
  if (c.layer.empty() || c.layer.back().sliding) return wrong("expected the last layer to be a full one");
  return {};
}

Result<void> check_sampler(const SamplerOptions& s, const std::string& path) {
  const double t_min = s.t_min.value_or(SamplerValues{}.t_min), t_max = s.t_max.value_or(SamplerValues{}.t_max);
  if (!(t_max >= kLeastTemperature && t_min >= 0 && t_min <= t_max))  // nor NaN
    return Unexpected(ErrorCode::kModelFile,
                      base::concat(path, ": temperatures: expected 0 <= t_min <= t_max and t_max >= ",
                                   kLeastTemperature, ", got ", t_min, " and ", t_max));
  return {};
}

std::vector<std::pair<std::string, std::string>> describe(const Config& c) {
  const auto number = [](auto value) { return base::concat(value); };
  const SamplerOptions& s = c.sampler;
  const SamplerValues published;
  const auto or_default = [](const auto& value, const auto fallback) {
    return value ? base::concat(*value) : base::concat(fallback, " (published default)");
  };
  std::vector<std::pair<std::string, std::string>> fields = {
      {"layers", number(c.layers)},
      {"layer kinds", sliding_layers(c) + " (s sliding, F full)"},
      {"width", number(c.width)},
      {"query heads", number(c.heads)},
      {"key/value heads", by_kind(c, [](const LayerConfig& l) { return l.kv_heads; })},
      {"head width", by_kind(c, [](const LayerConfig& l) { return l.head_dim; })},
      {"dense feed-forward width", number(c.dense_width)},
      {"experts", base::concat(c.experts, ", of which ", c.experts_used, " per token, ", c.expert_width, " wide")},
      {"vocabulary", number(c.vocab)},
      {"sliding window", number(c.window)},
      {"canvas length", number(c.canvas_length)},
      {"context length", number(c.context_length)},
      {"logit softcap", number(c.softcap)},
      {"norm epsilon", number(c.norm_eps)},
      {"rope theta",
       base::concat(c.sliding_rope.theta, scaling(c.sliding_rope), " sliding, ", c.full_rope.theta,
                    scaling(c.full_rope), " full (", c.full_rope.partial_rotary_factor, " of the pairs turn)")},
      {"end tokens", id_list(c.eos_ids)},
      {"max_denoising_steps", or_default(s.max_denoising_steps, published.max_denoising_steps)},
      {"t_min", or_default(s.t_min, published.t_min)},
      {"t_max", or_default(s.t_max, published.t_max)},
      {"entropy_bound", or_default(s.entropy_bound, published.entropy_bound)},
      {"stability_threshold", or_default(s.stability_threshold, published.stability_threshold)},
      {"confidence_threshold", or_default(s.confidence_threshold, published.confidence_threshold)},
  };
  if (!c.ignored.empty()) fields.emplace_back("without effect", c.ignored);
  return fields;
}

std::vector<std::pair<std::string, ConfigValue>> config_values(const Config& c) {
  const auto whole = [](const auto& value) { return ConfigValue(int64_t{value}); };
  const auto given = [](const auto& value) { return value ? ConfigValue(*value) : ConfigValue(); };
  const auto given_whole = [](const auto& value) { return value ? ConfigValue(int64_t{*value}) : ConfigValue(); };
  std::vector<std::string> kinds;
  std::vector<int64_t> kv_heads, head_widths;
  for (const LayerConfig& layer : c.layer) {
    kinds.emplace_back(layer.sliding ? "sliding" : "full");
    kv_heads.push_back(layer.kv_heads), head_widths.push_back(layer.head_dim);
  }
  const SamplerOptions& s = c.sampler;
  return {{"layers", whole(c.layers)},
          {"layer_kinds", std::move(kinds)},
          {"width", whole(c.width)},
          {"query_heads", whole(c.heads)},
          {"kv_heads", std::move(kv_heads)},
          {"head_widths", std::move(head_widths)},
          {"dense_width", whole(c.dense_width)},
          {"experts", whole(c.experts)},
          {"experts_per_token", whole(c.experts_used)},
          {"expert_width", whole(c.expert_width)},
          {"vocabulary", whole(c.vocab)},
          {"sliding_window", whole(c.window)},
          {"canvas_length", whole(c.canvas_length)},
          {"context_length", whole(c.context_length)},
          {"logit_softcap", c.softcap},
          {"norm_epsilon", c.norm_eps},
          {"sliding_rope_theta", c.sliding_rope.theta},
          {"sliding_rope_factor", c.sliding_rope.factor},
          {"full_rope_theta", c.full_rope.theta},
          {"full_rope_factor", c.full_rope.factor},
          {"full_rope_turning_share", c.full_rope.partial_rotary_factor},
          {"end_tokens", std::vector<int64_t>(c.eos_ids.begin(), c.eos_ids.end())},
          {"max_denoising_steps", given_whole(s.max_denoising_steps)},
          {"t_min", given(s.t_min)},
          {"t_max", given(s.t_max)},
          {"entropy_bound", given(s.entropy_bound)},
          {"stability_threshold", given_whole(s.stability_threshold)},
          {"confidence_threshold", given(s.confidence_threshold)},
          {"without_effect", c.ignored}};
}

}  // namespace dgemma::model
