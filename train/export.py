"""Turns a training checkpoint into a model folder as transformers saves it, in bf16.

Splits the fused matrices, gives every tensor the name of transformers' class, loads them into that class and lets
`save_pretrained` write; then adds the generation settings, the tokenizer and the chat template. The saved weights are
the running mean (EMA) of training. Checked by: check.py.

    python3 export.py CHECKPOINT OUT_DIR --tokenizer tokenizer.json --template chat_template.jinja [--raw]
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (DiffusionGemmaGenerationConfig,
                                                                            EntropyBoundSamplerConfig)

import model as M
import sampler

LAYER_NAMES = {
    "o": "self_attn.o_proj.weight", "q_norm": "self_attn.q_norm.weight", "k_norm": "self_attn.k_norm.weight",
    "down": "mlp.down_proj.weight", "router": "router.proj.weight", "router_scale": "router.scale",
    "per_expert_scale": "router.per_expert_scale", "expert_gate_up": "experts.gate_up_proj",
    "expert_down": "experts.down_proj", "input": "input_layernorm.weight",
    "post_attention": "post_attention_layernorm.weight", "pre_feedforward": "pre_feedforward_layernorm.weight",
    "post_feedforward": "post_feedforward_layernorm.weight",
    "post_feedforward_1": "post_feedforward_layernorm_1.weight",
    "post_feedforward_2": "post_feedforward_layernorm_2.weight",
    "pre_feedforward_2": "pre_feedforward_layernorm_2.weight"}


def tensors(pocket):
    """{transformers' name: tensor} of the decoder, and the encoder's layer scalars."""
    c, out = pocket.c, {}
    root = "model.decoder."
    out[root + "embed_tokens.weight"], out[root + "norm.weight"] = pocket.embed, pocket.norm
    sc = root + "self_conditioning."
    out[sc + "pre_norm.weight"], out[sc + "down_proj.weight"] = pocket.sc_norm, pocket.sc_down
    out[sc + "gate_proj.weight"], out[sc + "up_proj.weight"] = pocket.sc_gate_up.chunk(2)
    for i, layer in enumerate(pocket.layers):
        K, Dh = c.heads(layer.kind)
        name = f"{root}layers.{i}."
        for ours, theirs in LAYER_NAMES.items():
            out[name + theirs] = getattr(layer, ours)
        out[name + "mlp.gate_proj.weight"], out[name + "mlp.up_proj.weight"] = layer.gate_up.chunk(2)
        parts = layer.qkv.split([c.H * Dh] + [K * Dh] * (2 if layer.kind == "s" else 1))
        for which, part in zip("qkv", parts):
            out[f"{name}self_attn.{which}_proj.weight"] = part
        out[f"model.encoder.language_model.layers.{i}.layer_scalar"] = layer.scalar[:1]
        out[name + "layer_scalar"] = layer.scalar[1:]
    return {k: v.detach().clone() for k, v in out.items()}


def configuration(c):
    kinds = {"s": "sliding_attention", "f": "full_attention"}
    text = dict(vocab_size=c.V, hidden_size=c.D, intermediate_size=c.F, num_hidden_layers=len(c.layer_kinds),
                num_attention_heads=c.H, num_key_value_heads=c.K, head_dim=c.Dh, global_head_dim=c.Dh_full,
                num_global_key_value_heads=c.K_full, num_experts=c.E, top_k_experts=c.T, moe_intermediate_size=c.Fe,
                sliding_window=c.W, max_position_embeddings=1024, layer_types=[kinds[k] for k in c.layer_kinds])
    # The class always has a vision tower; the smallest one costs a few kilobytes and is never trained.
    vision = dict(model_type="gemma4_vision", hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                  num_attention_heads=1, num_key_value_heads=1, head_dim=16, position_embedding_size=16)
    return DiffusionGemmaConfig(text_config=text, vision_config=vision, canvas_length=c.L, boi_token_id=2041,
                                image_token_id=2042, eoi_token_id=2043)


def to_transformers(pocket):
    """transformers' model with these weights, float32."""
    torch.manual_seed(0)
    theirs = DiffusionGemmaForBlockDiffusion(configuration(pocket.c)).eval()
    missing, unexpected = theirs.load_state_dict(tensors(pocket), strict=False)
    assert not unexpected, unexpected
    tied = ("vision", "encoder.language_model", "lm_head")          # tied to the decoder, or not trained
    assert all(any(t in m for t in tied) for m in missing), missing
    return theirs


def load(path, raw=False):
    """The compact model of a checkpoint, float32, its weights rounded to bf16; the mean weights unless `raw`."""
    saved = torch.load(path, weights_only=False, map_location="cpu")
    pocket = M.Pocket(M.Config(**saved["config"]))
    pocket.load_state_dict(saved["model"])
    if not raw:
        for p, mean in zip(pocket.parameters(), saved["opt"]["ema"]):
            p.data.copy_(mean)
    for p in pocket.parameters():
        p.data.copy_(p.data.bfloat16().float())
    pocket.dtype = torch.float32
    return pocket.eval(), saved


def write(pocket, out, tokenizer, template):
    theirs = to_transformers(pocket).to(torch.bfloat16)
    theirs.generation_config = DiffusionGemmaGenerationConfig(
        **{k: v for k, v in sampler.DEFAULTS.items() if k != "entropy_bound"},
        sampler_config=EntropyBoundSamplerConfig(entropy_bound=sampler.DEFAULTS["entropy_bound"]), bos_token_id=2,
        pad_token_id=0, eos_token_id=[1, 106, 50])
    out.mkdir(parents=True, exist_ok=True)
    theirs.save_pretrained(out)
    for source, name in ((tokenizer, "tokenizer.json"), (template, "chat_template.jinja")):
        if Path(source).resolve() != (out / name).resolve():
            shutil.copyfile(source, out / name)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>",
                "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>", "add_bos_token": True,
                "clean_up_tokenization_spaces": False, "model_max_length": 1024}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("out", type=Path)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--template", required=True)
    p.add_argument("--raw", action="store_true", help="the last weights instead of their running mean")
    args = p.parse_args()
    pocket, saved = load(args.checkpoint, args.raw)
    write(pocket, args.out, args.tokenizer, args.template)
    print(args.out, "after", saved["opt"]["steps"], "steps,", sum(x.numel() for x in pocket.parameters()), "parameters")


if __name__ == "__main__":
    main()
