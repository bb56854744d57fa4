#!/usr/bin/env python3
"""Make a tiny random DiffusionGemma and record what Hugging Face transformers computes with it.

    python3 record_reference.py SPEC.json OUT_DIR

Needs torch, transformers (>= 5.23) and safetensors, all from PyPI. SPEC.json:

    {"text_config": {...}, "canvas_length": 16, "model_seed": 1, "embed_std": 0.5, "weight_std": 0.15,
     "self_conditioning_std": 0.04,
     "cases": [{"name": "s15", "prompt_length": 15, "seed": 7, "max_new_tokens": 32, "eos": [], ...}]}

OUT_DIR gets the checkpoint as transformers writes it (config.json, generation_config.json, model.safetensors in bf16;
the reference runs in float32 on the same bf16-representable values) and, for each case, NAME.trace.jsonl in the format
of docs/MODEL.md, "Trace" and, where the case says "activations": true, NAME.activations.safetensors with the first canvas's
first two steps. The random numbers are those of docs/MODEL.md, "Random numbers", put under the reference's own sampling code.

Self-conditioning feeds rounding errors back: with large random weights they grow tenfold a step and no two programs
agree after six; nearly equal router scores or probabilities part them too. Such a case tests nothing, so each is run in
float64 as well, and recording fails where the two disagree: choose a smaller self_conditioning_std or another seed.
"""
import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma import generation_diffusion_gemma as gen

INITIAL, SAMPLE, RENOISE = 0, 1, 2


def philox4x32_10(counter, key):
    """Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": four 32-bit words from four and a key of two."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draw(seed, purpose, canvas, step, row):
    x = philox4x32_10([row, step, canvas, purpose], [seed & 0xFFFFFFFF, seed >> 32])
    return x[0] | x[1] << 32


class Noise:
    """Stands in for torch.randint and torch.multinomial inside one generate call, and keeps the record."""

    def __init__(self, seed, vocab, length):
        self.seed, self.vocab, self.length = seed, vocab, length
        self.canvas, self.step, self.steps = -1, 0, []

    def tokens(self, purpose, step):
        ids = [draw(self.seed, purpose, self.canvas, step, r) * self.vocab >> 64 for r in range(self.length)]
        return torch.tensor([ids])

    def multinomial(self, probs, num_samples):
        assert num_samples == 1 and probs.shape == (self.length, self.vocab)
        p = probs.double()
        u = torch.tensor([(draw(self.seed, SAMPLE, self.canvas, self.step, r) >> 11) * 2.0**-53
                          for r in range(self.length)], dtype=torch.float64)
        cdf = p.cumsum(-1)
        return (cdf <= (u * cdf[:, -1])[:, None]).sum(-1, keepdim=True).clamp(max=self.vocab - 1)


def build(spec, out):
    torch.manual_seed(spec["model_seed"])
    vocab = spec["text_config"]["vocab_size"]
    vision = dict(model_type="gemma4_vision", hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                  num_attention_heads=1, num_key_value_heads=1, head_dim=16, position_embedding_size=16)
    config = DiffusionGemmaConfig(text_config=spec["text_config"], vision_config=vision,
                                  canvas_length=spec["canvas_length"], boi_token_id=vocab - 1,
                                  eoi_token_id=vocab - 2, image_token_id=vocab - 3)
    model = DiffusionGemmaForBlockDiffusion(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "vision" in name:
                continue
            if "embed_tokens" in name:
                p.normal_(0, spec["embed_std"])
            elif "layer_scalar" in name or "scale" in name:
                p.uniform_(0.7, 1.3)
            elif "norm" in name:
                p.normal_(1, 0.2)
            elif "self_conditioning" in name:
                p.normal_(0, spec.get("self_conditioning_std", spec["weight_std"]))
            else:
                p.normal_(0, spec["weight_std"])
            p.copy_(p.to(torch.bfloat16).float())
        for layer in model.model.encoder.language_model.layers:   # a buffer or a parameter, by version
            layer.layer_scalar.uniform_(0.7, 1.3)
            layer.layer_scalar.copy_(layer.layer_scalar.to(torch.bfloat16).float())
        for layer in model.model.decoder.layers:
            layer.layer_scalar.uniform_(0.7, 1.3)
            layer.layer_scalar.copy_(layer.layer_scalar.to(torch.bfloat16).float())
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    return DiffusionGemmaForBlockDiffusion.from_pretrained(out, dtype=torch.float32).eval()


def trace(case, prompt, options, noise, new):
    """The lines of a trace: of the steps that noise has kept, and of the tokens `new` that generate gave."""
    eos = set(case.get("eos") or [])
    end = next((i for i, t in enumerate(new) if t in eos), len(new))
    lines = [{"type": "start", "prompt_ids": prompt, "seed": case["seed"], "canvas_length": noise.length,
              "vocab_size": noise.vocab, "eos_ids": sorted(eos), "canvas_ids": case.get("canvas_ids"),
              "options": options}]
    for c in range(noise.canvas + 1):
        steps = [s for s in noise.steps if s["canvas"] == c]
        lines += steps
        tokens = steps[-1]["best"]
        cut = next((i for i, t in enumerate(tokens) if t in eos), noise.length)
        lines.append({"type": "canvas", "canvas": c, "steps": len(steps), "tokens": tokens, "committed": cut,
                      "reason": "converged" if len(steps) < options["max_denoising_steps"] else "max_steps"})
    return lines + [{"type": "end", "tokens": new[:end], "finish_reason": "stop" if end < len(new) else "length"}]


def run(model, case, canvas_length, out):
    vocab = model.config.text_config.vocab_size
    g = torch.Generator().manual_seed(case.get("prompt_seed", case["prompt_length"]))
    prompt = case.get("prompt_ids") or torch.randint(3, vocab, (case["prompt_length"],), generator=g).tolist()
    noise = Noise(case["seed"], vocab, canvas_length)
    options = {"max_new_tokens": 256, "max_denoising_steps": 48, "t_min": 0.4, "t_max": 0.8, "stability_threshold": 1,
               "confidence_threshold": 0.005, "entropy_bound": 0.1}
    options.update(case.get("options", {}))
    kept = {}

    sampler_class = gen.EntropyBoundSampler
    accept, renoise = sampler_class.accept_canvas, sampler_class.renoise_canvas
    old_init, old_multinomial = sampler_class.initialize_canvas, torch.multinomial
    first = {"fresh": True}

    def initialize(self, batch_size, device):
        if first["fresh"]:
            noise.canvas, noise.step, first["fresh"] = noise.canvas + 1, 0, False
            return noise.tokens(INITIAL, 0)
        return noise.tokens(RENOISE, noise.step)

    def accept_canvas(self, current, sampled, logits, cur_step):
        result = accept(self, current, sampled, logits, cur_step)
        logp = torch.log_softmax(logits[0].double(), -1)
        entropy = -(logp.exp() * logp).sum(-1)
        best = logits[0].argmax(-1)
        n = options["max_denoising_steps"]
        noise.steps.append({
            "type": "step", "canvas": noise.canvas, "step": noise.step,
            "temperature": options["t_min"] + (options["t_max"] - options["t_min"]) * (n - noise.step) / n,
            "input": current[0].tolist(), "best": best.tolist(), "sample": sampled[0].tolist(),
            "entropy": [round(x, 7) for x in entropy.tolist()],
            "best_logprob": [round(x, 7) for x in logp.gather(-1, best[:, None])[:, 0].tolist()],
            "accepted": [int(x) for x in self.accepted_token_mask[0]], "mean_entropy": entropy.mean().item()})
        if case.get("activations") and noise.canvas == 0 and noise.step < 2:
            kept[f"step{noise.step}.processed_logits"] = logits[0].float().contiguous().clone()
        return result

    def renoise_canvas(self, accepted, cur_step):
        result = renoise(self, accepted, cur_step)
        noise.steps[-1]["next"] = result[0].tolist()
        noise.step += 1
        return result

    hooks = []
    if case.get("activations"):
        def keep(kind, index):
            def hook(_module, _inputs, output):
                x = output[0] if isinstance(output, tuple) else output
                if kind == "encoder":
                    kept.setdefault(f"encoder.layer{index}", x[0].float().contiguous().clone())
                elif noise.canvas == 0 and noise.step < 2:
                    kept[f"step{noise.step}.decoder.layer{index}"] = x[0].float().contiguous().clone()
            return hook
        for i, layer in enumerate(model.model.encoder.language_model.layers):
            hooks.append(layer.register_forward_hook(keep("encoder", i)))
        for i, layer in enumerate(model.model.decoder.layers):
            hooks.append(layer.register_forward_hook(keep("decoder", i)))

    prepare = model._prepare_denoiser_inputs

    def prepared(*args, **kwargs):
        first["fresh"] = True
        result = prepare(*args, **kwargs)
        first["fresh"] = False
        return result

    sampler_class.initialize_canvas, sampler_class.accept_canvas = initialize, accept_canvas
    sampler_class.renoise_canvas, torch.multinomial = renoise_canvas, noise.multinomial
    model._prepare_denoiser_inputs = prepared
    try:
        kwargs = {k: v for k, v in options.items() if k != "entropy_bound"}
        extra = {}
        if case.get("canvas_ids"):
            extra["decoder_input_ids"] = torch.tensor([case["canvas_ids"]])
        result = model.generate(input_ids=torch.tensor([prompt]), pad_token_id=0, eos_token_id=case.get("eos") or None,
                                sampler_config=gen.EntropyBoundSamplerConfig(entropy_bound=options["entropy_bound"]),
                                **kwargs, **extra)
    finally:
        sampler_class.initialize_canvas, sampler_class.accept_canvas = old_init, accept
        sampler_class.renoise_canvas, torch.multinomial = renoise, old_multinomial
        model._prepare_denoiser_inputs = prepare
        for h in hooks:
            h.remove()

    lines = trace(case, prompt, options, noise, result.sequences[0, len(prompt):].tolist())
    with open(out / f"{case['name']}.trace.jsonl", "w") as f:
        for line in lines:
            f.write(json.dumps(line) + "\n")
    if kept:
        save_file(kept, out / f"{case['name']}.activations.safetensors")
    return lines


def distance(lines, others):
    """Largest difference of an entropy between two runs, in nats; infinite where a decision differs."""
    steps, other = ([x for x in y if x["type"] == "step"] for y in (lines, others))
    if len(steps) != len(other) or any(a[k] != b[k] for a, b in zip(steps, other) for k in ("best", "sample", "accepted")):
        return float("inf")
    return max(abs(p - q) for a, b in zip(steps, other) for p, q in zip(a["entropy"], b["entropy"]))


def record(model, exact, case, canvas_length, out):
    with tempfile.TemporaryDirectory() as scratch:
        others = run(exact, case, canvas_length, Path(scratch))
    lines = run(model, case, canvas_length, out)
    steps = [x for x in lines if x["type"] == "step"]
    apart = distance(lines, others)
    print(case["name"], "| prompt", len(lines[0]["prompt_ids"]), "| steps per canvas",
          [x["steps"] for x in lines if x["type"] == "canvas"], "| tokens", len(lines[-1]["tokens"]), "| mean accepted",
          round(sum(sum(s["accepted"]) for s in steps) / len(steps), 2), f"| float64 within {apart:.1e} nats", flush=True)
    if apart > 5e-4:
        sys.exit(f"{case['name']}: float32 and float64 part ways; this case tests nothing")


def main():
    spec, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    torch.set_num_threads(2)
    model = build(spec, out) if "text_config" in spec else \
        DiffusionGemmaForBlockDiffusion.from_pretrained(spec["checkpoint"], dtype=torch.float32).eval()
    exact = copy.deepcopy(model).double()
    exact.set_experts_implementation("eager")
    out.mkdir(parents=True, exist_ok=True)
    for case in spec["cases"]:
        record(model, exact, case, model.config.canvas_length, out)


if __name__ == "__main__":
    main()
