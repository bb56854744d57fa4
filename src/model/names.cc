// See names.h.
#include "model/names.h"

#include <charconv>

namespace dgemma::model {
namespace {

using Shape = std::vector<uint64_t>;

struct Sizes {
  uint64_t d, f, e, fe, v, h, k, dh;
};

Sizes sizes_of(const Config& c, const LayerConfig& layer) {
  const auto u = [](int x) { return static_cast<uint64_t>(x); };
  return {u(c.width), u(c.dense_width), u(c.experts),      u(c.expert_width),
          u(c.vocab), u(c.heads),       u(layer.kv_heads), u(layer.head_dim)};
}

/// One row of a layer's list: role, suffix after the layer's prefix, shape.
struct LayerRow {
  Role role;
  const char* suffix;
  Shape shape;
  Use use = Use::kVector;
  bool required = true;
};

std::vector<LayerRow> safetensors_layer(const Sizes& s, bool sliding) {
  std::vector<LayerRow> rows = {
      {Role::kInputNorm, "input_layernorm.weight", {s.d}},
      {Role::kPostAttentionNorm, "post_attention_layernorm.weight", {s.d}},
      {Role::kPreFeedforwardNorm, "pre_feedforward_layernorm.weight", {s.d}},
      {Role::kPostFeedforwardNorm, "post_feedforward_layernorm.weight", {s.d}},
      {Role::kPostFeedforwardNorm1, "post_feedforward_layernorm_1.weight", {s.d}},
      {Role::kPostFeedforwardNorm2, "post_feedforward_layernorm_2.weight", {s.d}},
      {Role::kPreFeedforwardNorm2, "pre_feedforward_layernorm_2.weight", {s.d}},
      {Role::kQuery, "self_attn.q_proj.weight", {s.h * s.dh, s.d}, Use::kMatrix},
      {Role::kKey, "self_attn.k_proj.weight", {s.k * s.dh, s.d}, Use::kMatrix},
      {Role::kOutput, "self_attn.o_proj.weight", {s.d, s.h * s.dh}, Use::kMatrix},
      {Role::kQueryNorm, "self_attn.q_norm.weight", {s.dh}},
      {Role::kKeyNorm, "self_attn.k_norm.weight", {s.dh}},
      {Role::kGate, "mlp.gate_proj.weight", {s.f, s.d}, Use::kMatrix},
      {Role::kUp, "mlp.up_proj.weight", {s.f, s.d}, Use::kMatrix},
      {Role::kDown, "mlp.down_proj.weight", {s.d, s.f}, Use::kMatrix},
      {Role::kRouter, "router.proj.weight", {s.e, s.d}, Use::kMatrix},
      {Role::kRouterScale, "router.scale", {s.d}},
      {Role::kPerExpertScale, "router.per_expert_scale", {s.e}},
      {Role::kExpertGateUp, "experts.gate_up_proj", {s.e, 2 * s.fe, s.d}, Use::kMatrix},
      {Role::kExpertDown, "experts.down_proj", {s.e, s.d, s.fe}, Use::kMatrix},
  };
  if (sliding) rows.push_back({Role::kValue, "self_attn.v_proj.weight", {s.k * s.dh, s.d}, Use::kMatrix});
  return rows;
}

std::vector<LayerRow> gguf_layer(const Sizes& s, bool sliding) {
  std::vector<LayerRow> rows = {
      {Role::kInputNorm, "attn_norm.weight", {s.d}},
      {Role::kPostAttentionNorm, "post_attention_norm.weight", {s.d}},
      {Role::kPreFeedforwardNorm, "ffn_norm.weight", {s.d}},
      {Role::kPostFeedforwardNorm, "post_ffw_norm.weight", {s.d}},
      {Role::kPostFeedforwardNorm1, "post_ffw_norm_1.weight", {s.d}},
      {Role::kPostFeedforwardNorm2, "post_ffw_norm_2.weight", {s.d}},
      {Role::kPreFeedforwardNorm2, "pre_ffw_norm_2.weight", {s.d}},
      {Role::kQuery, "attn_q.weight", {s.h * s.dh, s.d}, Use::kMatrix},
      {Role::kKey, "attn_k.weight", {s.k * s.dh, s.d}, Use::kMatrix},
      {Role::kOutput, "attn_output.weight", {s.d, s.h * s.dh}, Use::kMatrix},
      {Role::kQueryNorm, "attn_q_norm.weight", {s.dh}},
      {Role::kKeyNorm, "attn_k_norm.weight", {s.dh}},
      {Role::kGate, "ffn_gate.weight", {s.f, s.d}, Use::kMatrix},
      {Role::kUp, "ffn_up.weight", {s.f, s.d}, Use::kMatrix},
      {Role::kDown, "ffn_down.weight", {s.d, s.f}, Use::kMatrix},
      {Role::kRouter, "ffn_gate_inp.weight", {s.e, s.d}, Use::kMatrix},
      {Role::kRouterScale, "ffn_gate_inp.scale", {s.d}},
      {Role::kPerExpertScale, "ffn_down_exps.scale", {s.e}},
      // Either fused or split; binder.cc asks for one of the two.
      {Role::kExpertGateUp, "ffn_gate_up_exps.weight", {s.e, 2 * s.fe, s.d}, Use::kMatrix, false},
      {Role::kExpertGate, "ffn_gate_exps.weight", {s.e, s.fe, s.d}, Use::kMatrix, false},
      {Role::kExpertUp, "ffn_up_exps.weight", {s.e, s.fe, s.d}, Use::kMatrix, false},
      {Role::kExpertDown, "ffn_down_exps.weight", {s.e, s.d, s.fe}, Use::kMatrix},
      {Role::kDecoderScalar, "layer_output_scale.weight", {1}},
      {Role::kEncoderScalar, "enc_layer_output_scale.weight", {1}},
  };
  if (sliding) rows.push_back({Role::kValue, "attn_v.weight", {s.k * s.dh, s.d}, Use::kMatrix});
  return rows;
}

const std::string kDecoder = "model.decoder.";
const std::string kEncoder = "model.encoder.language_model.";

/// A tensor that the encoder ties to the decoder: either name, or both with equal values.
std::vector<std::string> tied(const std::string& name) { return {kDecoder + name, kEncoder + name}; }

}  // namespace

std::vector<TensorName> safetensors_names(const Config& c) {
  const Sizes s = sizes_of(c, c.layer.back());
  std::vector<TensorName> list;
  std::vector<std::string> embedding = tied("embed_tokens.weight");
  embedding.push_back(kHeadName);
  list.push_back({Role::kEmbedding, -1, embedding, {s.v, s.d}, Use::kMatrix});
  list.push_back({Role::kFinalNorm, -1, tied("norm.weight"), {s.d}});
  const std::string sc = kDecoder + "self_conditioning.";
  list.push_back({Role::kConditioningNorm, -1, {sc + "pre_norm.weight"}, {s.d}});
  list.push_back({Role::kConditioningGate, -1, {sc + "gate_proj.weight"}, {s.f, s.d}, Use::kMatrix});
  list.push_back({Role::kConditioningUp, -1, {sc + "up_proj.weight"}, {s.f, s.d}, Use::kMatrix});
  list.push_back({Role::kConditioningDown, -1, {sc + "down_proj.weight"}, {s.d, s.f}, Use::kMatrix});
  for (int i = 0; i < c.layers; ++i) {
    const LayerConfig& layer = c.layer[static_cast<size_t>(i)];
    const std::string prefix = "layers." + std::to_string(i) + ".";
    for (LayerRow& row : safetensors_layer(sizes_of(c, layer), layer.sliding))
      list.push_back({row.role, i, tied(prefix + row.suffix), std::move(row.shape), row.use, row.required});
    list.push_back({Role::kDecoderScalar, i, {kDecoder + prefix + "layer_scalar"}, {1}});
    list.push_back({Role::kEncoderScalar, i, {kEncoder + prefix + "layer_scalar"}, {1}});
  }
  return list;
}

std::vector<TensorName> gguf_names(const Config& c) {
  const Sizes s = sizes_of(c, c.layer.back());
  std::vector<TensorName> list = {
      {Role::kEmbedding, -1, {"token_embd.weight"}, {s.v, s.d}, Use::kMatrix},
      {Role::kHead, -1, {"output.weight"}, {s.v, s.d}, Use::kMatrix, false},
      {Role::kFinalNorm, -1, {"output_norm.weight"}, {s.d}},
      {Role::kRopeDivisors, -1, {"rope_freqs.weight"}, {s.dh / 2}, Use::kVector, false},
      {Role::kConditioningNorm, -1, {"self_cond_pre_norm.weight", "self_cond_norm.weight"}, {s.d}},
      {Role::kConditioningGate, -1, {"self_cond_gate.weight"}, {s.f, s.d}, Use::kMatrix},
      {Role::kConditioningUp, -1, {"self_cond_up.weight"}, {s.f, s.d}, Use::kMatrix},
      {Role::kConditioningDown, -1, {"self_cond_down.weight"}, {s.d, s.f}, Use::kMatrix},
  };
  for (int i = 0; i < c.layers; ++i) {
    const LayerConfig& layer = c.layer[static_cast<size_t>(i)];
    for (LayerRow& row : gguf_layer(sizes_of(c, layer), layer.sliding))
      list.push_back(
          {row.role, i, {"blk." + std::to_string(i) + "." + row.suffix}, std::move(row.shape), row.use, row.required});
  }
  return list;
}

int64_t layer_in_name(std::string_view name) {
  for (const std::string& prefix : {kDecoder + "layers.", kEncoder + "layers.", std::string("blk.")}) {
    int64_t layer = 0;
    if (!name.starts_with(prefix)) continue;
    const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
    if (error == std::errc() && end != name.data() + name.size() && *end == '.') return layer;
  }
  return -1;
}

const char* foreign_kind(const std::string& name) {
  for (const char* prefix : {"model.encoder.vision_tower.", "model.encoder.embed_vision.", "v.", "mm."})
    if (name.starts_with(prefix)) return "vision";
  return "unknown";
}

}  // namespace dgemma::model
