#!/usr/bin/env python3
"""Convert a DiffusionGemma folder in Hugging Face layout to one GGUF file, with the names of the published ones.

    python3 tools/safetensors_to_gguf.py MODEL_DIR OUT.gguf [--type bf16|f32|f16|q8_0|q4_0] [--split-experts]

Needs the PyPI packages gguf and numpy. docs/MODEL.md, "GGUF", says what a file holds; this writes all of it: both layer
scalars, rope_freqs, the sampler's values, and, where the folder has tokenizer.json, the tokenizer and the chat template.
Vectors and the router stay f32. A matrix whose rows are not whole blocks of the asked type becomes f16. Vision tensors
are left out. Rounding is gguf's own, so tests can compare both files of the same weights.
"""
import argparse
import json
import struct
import sys
from pathlib import Path

import gguf
import numpy as np

ARCH = "diffusion-gemma"
Q = gguf.GGMLQuantizationType
TYPES = {"f32": Q.F32, "f16": Q.F16, "bf16": Q.BF16, "q8_0": Q.Q8_0, "q4_0": Q.Q4_0}
DECODER, ENCODER = "model.decoder.", "model.encoder.language_model."

PUBLISHED_ROPE = {  # of a config without rope_parameters, as in transformers
    "full_attention": {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
MODEL_TENSORS = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "self_conditioning.pre_norm.weight": "self_cond_pre_norm.weight",
    "self_conditioning.gate_proj.weight": "self_cond_gate.weight",
    "self_conditioning.up_proj.weight": "self_cond_up.weight",
    "self_conditioning.down_proj.weight": "self_cond_down.weight",
}
LAYER_TENSORS = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "post_attention_layernorm.weight": "post_attention_norm.weight",
    "pre_feedforward_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
    "router.proj.weight": "ffn_gate_inp.weight",
    "router.scale": "ffn_gate_inp.scale",
    "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight",
    "experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "experts.down_proj": "ffn_down_exps.weight",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
    "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
    "layer_scalar": "layer_output_scale.weight",
}
# markers that an answer's parser needs: llama.cpp drops control tokens when it makes text, so these are user-defined
KEPT_MARKERS = {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>",
                '<|"|>'}


class Checkpoint:
    """The tensors of one or many safetensors files as float32 arrays, read when asked for."""

    def __init__(self, folder):
        index = folder / "model.safetensors.index.json"
        names = {"model.safetensors"}
        if index.exists():
            names = set(json.loads(index.read_text())["weight_map"].values())
        self.where = {}
        for path in (folder / name for name in sorted(names)):
            with path.open("rb") as f:
                length, = struct.unpack("<Q", f.read(8))
                header = json.loads(f.read(length))
            for name, info in header.items():
                if name != "__metadata__":
                    self.where[name] = (path, 8 + length, info)

    def get(self, name):
        path, start, info = self.where[name]
        begin, end = info["data_offsets"]
        raw = np.memmap(path, np.uint8, "r", start + begin, (end - begin,))
        if info["dtype"] == "BF16":
            values = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = raw.view({"F32": "<f4", "F16": "<f2"}[info["dtype"]]).astype(np.float32)
        return values.reshape(info["shape"])

    def tied(self, name):
        """A tensor stored under the decoder's name, the encoder's, or both; None where it is under neither."""
        for prefix in (DECODER, ENCODER):
            if prefix + name in self.where:
                return self.get(prefix + name)
        return None


def layer_heads(text):
    """(head_dim, kv_heads) of each layer, from new configs (per_layer_config) and old ones (global_*)."""
    own = full = (text["head_dim"], text["num_key_value_heads"])
    per_layer = text.get("per_layer_config")
    if per_layer is None:  # {}, which is no head size of its own, counts as the new spelling
        full = (text.get("global_head_dim") or 512, text.get("num_global_key_value_heads") or own[1])
    pairs = [full if kind == "full_attention" else own for kind in layer_kinds(text)]
    for key, values in (per_layer or {}).items():  # "05" of 12 layers
        dim, kv = pairs[int(key)]
        pairs[int(key)] = (values.get("head_dim", dim), values.get("num_key_value_heads", kv))
    return pairs


def layer_kinds(text):
    n = text["num_hidden_layers"]
    kinds = text.get("layer_types") or ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(n)]
    return kinds[:-1] + ["full_attention"]


def add_config(w, config, generation):
    text = config["text_config"]
    kinds, heads = layer_kinds(text), layer_heads(text)
    sliding = [kind == "sliding_attention" for kind in kinds]
    full_dim = heads[-1][0]
    sliding_dim = heads[sliding.index(True)][0] if any(sliding) else full_dim
    rope = text.get("rope_parameters") or PUBLISHED_ROPE
    w.add_block_count(text["num_hidden_layers"])
    w.add_context_length(text["max_position_embeddings"])
    w.add_embedding_length(text["hidden_size"])
    w.add_feed_forward_length(text["intermediate_size"])
    w.add_vocab_size(text["vocab_size"])
    w.add_head_count(text["num_attention_heads"])
    w.add_head_count_kv([kv for _, kv in heads])
    w.add_key_length(full_dim)
    w.add_value_length(full_dim)
    w.add_uint32(f"{ARCH}.attention.key_length_swa", sliding_dim)
    w.add_uint32(f"{ARCH}.attention.value_length_swa", sliding_dim)
    w.add_sliding_window(text["sliding_window"])
    w.add_array(f"{ARCH}.attention.sliding_window_pattern", sliding)
    w.add_layer_norm_rms_eps(text["rms_norm_eps"])
    w.add_uint32(f"{ARCH}.attention.shared_kv_layers", 0)
    w.add_causal_attention(False)
    w.add_rope_freq_base(rope["full_attention"]["rope_theta"])
    if any(sliding):
        w.add_float32(f"{ARCH}.rope.freq_base_swa", rope["sliding_attention"]["rope_theta"])
    w.add_rope_dimension_count(full_dim)
    w.add_uint32(f"{ARCH}.rope.dimension_count_swa", sliding_dim)
    w.add_expert_count(text["num_experts"])
    w.add_expert_used_count(text["top_k_experts"])
    w.add_expert_feed_forward_length(text["moe_intermediate_size"])
    w.add_float32(f"{ARCH}.final_logit_softcapping", text.get("final_logit_softcapping") or 30.0)
    w.add_uint32(f"{ARCH}.embedding_length_per_layer_input", 0)
    w.add_uint32("diffusion.canvas_length", config["canvas_length"])
    add_sampler(w, generation)
    add_special_ids(w, text, generation)
    if any(sliding) and rope["sliding_attention"].get("rope_type", "default") != "default":
        sys.exit("sliding_attention: GGUF has no field for another rope_type than default")
    turning = int(rope["full_attention"].get("partial_rotary_factor", 1.0) * full_dim / 2)
    factor = rope["full_attention"].get("factor", 1.0)
    return np.array([factor] * turning + [1e30] * (full_dim // 2 - turning), np.float32)


def add_sampler(w, generation):
    for name, key in (("max_denoising_steps", "eb_max_steps"), ("stability_threshold", "eb_stability_threshold")):
        if generation.get(name) is not None:
            w.add_uint32(f"diffusion.{key}", generation[name])
    for name in ("t_min", "t_max", "confidence_threshold"):
        if generation.get(name) is not None:
            w.add_float32(f"diffusion.eb_{name}", generation[name])
    bound = (generation.get("sampler_config") or {}).get("entropy_bound", generation.get("entropy_bound"))
    if bound is not None:
        w.add_float32("diffusion.eb_entropy_bound", bound)


def add_special_ids(w, text, generation):
    eos = generation.get("eos_token_id")
    eos = text.get("eos_token_id") if eos is None else eos
    eos = eos if isinstance(eos, list) else [] if eos is None else [eos]
    for add, token in zip((w.add_eos_token_id, w.add_eot_token_id), eos):  # GGUF has no list of end tokens
        add(token)
    for name, add in (("bos_token_id", w.add_bos_token_id), ("pad_token_id", w.add_pad_token_id)):
        if text.get(name) is not None:
            add(text[name])


def add_tokenizer(w, folder, vocab_size):
    file = folder / "tokenizer.json"
    if not file.exists():
        return
    spec = json.loads(file.read_text())
    tokens, kinds = [None] * vocab_size, [gguf.TokenType.UNUSED] * vocab_size
    for token, i in spec["model"]["vocab"].items():
        byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
        tokens[i], kinds[i] = token, gguf.TokenType.BYTE if byte else gguf.TokenType.NORMAL
    for added in spec["added_tokens"]:
        text = added["content"]
        plain = not added["special"] or text in KEPT_MARKERS
        tokens[added["id"]] = text
        kinds[added["id"]] = gguf.TokenType.USER_DEFINED if plain else gguf.TokenType.CONTROL
    unknown = spec["model"].get("unk_token")
    if unknown in tokens:
        kinds[tokens.index(unknown)] = gguf.TokenType.UNKNOWN
        w.add_unk_token_id(tokens.index(unknown))
    merges = [m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]]
    w.add_tokenizer_model("gemma4")
    w.add_token_list([f"[PAD{i}]" if t is None else t for i, t in enumerate(tokens)])
    w.add_token_scores([0.0] * vocab_size)
    w.add_token_types([int(k) for k in kinds])
    w.add_token_merges(merges)
    w.add_add_bos_token(True)
    w.add_add_space_prefix(False)
    template = chat_template(folder)
    if template is not None:
        w.add_chat_template(template)


def chat_template(folder):
    if (folder / "chat_template.jinja").exists():
        return (folder / "chat_template.jinja").read_text()
    config = folder / "tokenizer_config.json"
    return json.loads(config.read_text()).get("chat_template") if config.exists() else None


def add_tensor(w, name, values, kind):
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    if values.ndim < 2 or name.endswith("ffn_gate_inp.weight"):
        kind = Q.F32
    elif values.shape[-1] % block != 0:
        kind = Q.F16
    w.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)


def add_tensors(w, checkpoint, layers, kind, split):
    def put(name, values):
        if values is not None:
            add_tensor(w, name, values, kind)

    for name, stored in MODEL_TENSORS.items():
        put(stored, checkpoint.tied(name))
    if "lm_head.weight" in checkpoint.where:
        head = checkpoint.get("lm_head.weight")
        embedding = checkpoint.tied("embed_tokens.weight")
        if embedding is None:
            put("token_embd.weight", head)
        elif not np.array_equal(head, embedding):
            put("output.weight", head)
    for i in range(layers):
        for name, stored in LAYER_TENSORS.items():
            values = checkpoint.tied(f"layers.{i}.{name}") if name != "layer_scalar" else (
                checkpoint.get(f"{DECODER}layers.{i}.layer_scalar"))
            if split and name == "experts.gate_up_proj":
                gate, up = np.split(values, 2, axis=1)
                put(f"blk.{i}.ffn_gate_exps.weight", gate)
                put(f"blk.{i}.ffn_up_exps.weight", up)
            else:
                put(f"blk.{i}.{stored}", values)
        put(f"blk.{i}.enc_layer_output_scale.weight", checkpoint.get(f"{ENCODER}layers.{i}.layer_scalar"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", type=Path)
    ap.add_argument("out", type=Path)
    ap.add_argument("--type", choices=TYPES, default="bf16")
    ap.add_argument("--split-experts", action="store_true", help="write gate and up of the experts as two tensors")
    a = ap.parse_args()
    config = json.loads((a.folder / "config.json").read_text())
    generation_file = a.folder / "generation_config.json"
    generation = json.loads(generation_file.read_text()) if generation_file.exists() else {}

    w = gguf.GGUFWriter(a.out, ARCH)
    w.add_name(a.folder.resolve().name)
    rope_freqs = add_config(w, config, generation)
    add_tokenizer(w, a.folder, config["text_config"]["vocab_size"])
    add_tensor(w, "rope_freqs.weight", rope_freqs, Q.F32)
    add_tensors(w, Checkpoint(a.folder), config["text_config"]["num_hidden_layers"], TYPES[a.type], a.split_experts)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    sys.exit(main())
