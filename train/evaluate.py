"""Scores the pocket model: 500 fresh Sudokus, trained and held-out wordings, refusals, second turns, steps per canvas.

Three ways to answer: the compact model (default; batched, fast), transformers' own generate with the engine's dice,
and the program dgemma. Seeds are the line numbers, so the three should agree answer by answer, up to rounding.

    python3 evaluate.py --checkpoint last.pt --tokenizer tokenizer.json --template chat_template.jinja
    python3 evaluate.py --model ../models/pocket [--by transformers | --by ../build/dgemma [--compute int8]]
                        [--sudokus 500] [--trained 2] [--report report.json]
"""
import argparse
import json
import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch

import data
import sampler


def load_folder(folder):
    """The compact model from a saved model folder, float32."""
    from safetensors.torch import load_file

    import export
    import model as M
    t = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    j = json.loads((folder / "config.json").read_text())
    c = j["text_config"]
    full = c["layer_types"].index("full_attention")
    wide = c["per_layer_config"][str(full)]
    pocket = M.Pocket(M.Config(
        V=c["vocab_size"], D=c["hidden_size"], F=c["intermediate_size"], H=c["num_attention_heads"],
        K=c["num_key_value_heads"], Dh=c["head_dim"], K_full=wide.get("num_key_value_heads", c["num_key_value_heads"]),
        Dh_full=wide["head_dim"], E=c["num_experts"], T=c["top_k_experts"], Fe=c["moe_intermediate_size"],
        L=j["canvas_length"], W=c["sliding_window"], layer_kinds="".join(k[0] for k in c["layer_types"])))
    with torch.no_grad():
        def fill(p, *names):
            p.copy_(torch.cat([t[n] for n in names]))
        root = "model.decoder."
        fill(pocket.embed, root + "embed_tokens.weight")
        fill(pocket.norm, root + "norm.weight")
        sc = root + "self_conditioning."
        fill(pocket.sc_norm, sc + "pre_norm.weight")
        fill(pocket.sc_down, sc + "down_proj.weight")
        fill(pocket.sc_gate_up, sc + "gate_proj.weight", sc + "up_proj.weight")
        for i, layer in enumerate(pocket.layers):
            name = f"{root}layers.{i}."
            for ours, theirs in export.LAYER_NAMES.items():
                fill(getattr(layer, ours), name + theirs)
            fill(layer.gate_up, name + "mlp.gate_proj.weight", name + "mlp.up_proj.weight")
            fill(layer.qkv, *(f"{name}self_attn.{w}_proj.weight" for w in ("qkv" if layer.kind == "s" else "qk")))
            fill(layer.scalar, f"model.encoder.language_model.layers.{i}.layer_scalar", name + "layer_scalar")
    pocket.dtype = torch.float32
    return pocket.eval()


def by_compact(pocket):
    return lambda fmt, prompts, seeds: sampler.answers(pocket, prompts, seeds)


def by_transformers(folder):
    """transformers' generate, its random numbers replaced by the engine's."""
    from transformers import DiffusionGemmaForBlockDiffusion

    import dice
    theirs = DiffusionGemmaForBlockDiffusion.from_pretrained(folder, dtype=torch.float32).eval()
    theirs.set_experts_implementation("eager")

    def run(fmt, prompts, seeds):
        results = [dice.generate(theirs, p, s) for p, s in zip(prompts, seeds)]
        return [r[0] for r in results], [r[1] for r in results]
    return run


def by_program(program, folder, compute):
    """`dgemma generate --json`, one process an answer."""
    def run(fmt, prompts, seeds):
        canvases, steps = [], []
        for p, s in zip(prompts, seeds):
            command = [program, "generate", "-m", str(folder), "--prompt-ids", ",".join(map(str, p)), "--seed", str(s),
                       "--compute", compute, "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            j = json.loads(done.stdout)
            canvases.append(j["tokens"])
            steps.append(j["usage"]["denoising_steps"])
        return canvases, steps
    return run


def cases(sudokus, trained, every=1):
    folder = data.HERE / "data"
    lines = data.read_jsonl(folder / "sudoku_eval.jsonl")[:sudokus] + data.read_jsonl(folder / "heldout.jsonl")[::every]
    for q in data.read_jsonl(folder / "questions.jsonl")[::every]:
        lines += [{"kind": "trained", "id": q["id"], "messages": [data.user(w)], "answer": q["answer"]}
                  for w in q["ask"][:trained]]
    return lines


def score(fmt, run, lines, out=print, failures=False):
    """Runs all cases and prints the table; returns it as a dict."""
    started = time.time()
    canvases, steps = run(fmt, [fmt.prompt(c["messages"]) for c in lines], list(range(len(lines))))
    refusals = {c["answer"] for c in lines if c["kind"] == "refusal"}
    table, givens = defaultdict(list), defaultdict(list)
    for c, canvas, n in zip(lines, canvases, steps):
        text = fmt.text(canvas)
        right = text == c["answer"]
        table[c["kind"]].append((right, n))
        if c["kind"] == "refusal":
            table["refused in any words"].append((text in refusals, n))
        if c["kind"] == "sudoku":
            givens[c["givens"]].append((right, n))
        elif not right and failures:
            asked = c["messages"][-1]["content"][:70].replace("\n", "/")
            out("  wrong:", c["kind"], c["id"], "|", asked, "->", repr(text[:90]))
    result = {"answers": {}, "givens": {}, "seconds": round(time.time() - started, 1),
              "steps_per_canvas": round(sum(steps) / len(steps), 2)}
    for name, groups in (("answers", table), ("givens", givens)):
        for k, v in sorted(groups.items()):
            mean = sum(n for _, n in v) / len(v)
            result[name][str(k)] = {"right": sum(r for r, _ in v), "of": len(v), "steps": round(mean, 2)}
            label = f"givens {k}" if name == "givens" else k
            out(f"{label}: {sum(r for r, _ in v)} of {len(v)}, {mean:.2f} steps a canvas")
    out(f"all: {result['steps_per_canvas']} steps a canvas, {result['seconds']} s")
    return result


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--checkpoint")
    p.add_argument("--tokenizer")
    p.add_argument("--template")
    p.add_argument("--model", type=Path)
    p.add_argument("--by", default="compact", help="compact, transformers, or the path of dgemma")
    p.add_argument("--compute", default="f32", help="arithmetic of dgemma; f32 is the one that should agree")
    p.add_argument("--sudokus", type=int, default=500)
    p.add_argument("--trained", type=int, default=2, help="trained wordings of each question")
    p.add_argument("--every", type=int, default=1, help="take only every n-th text")
    p.add_argument("--failures", action="store_true", help="print each wrong text")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--raw", action="store_true")
    p.add_argument("--bf16", action="store_true", help="faster, for a look during training")
    p.add_argument("--report", type=Path)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    if args.checkpoint:
        import export
        pocket, saved = export.load(args.checkpoint, args.raw)
        print("after", saved["opt"]["steps"], "steps")
    fmt = data.Format(args.tokenizer or args.model / "tokenizer.json",
                      args.template or args.model / "chat_template.jinja")
    if args.by == "compact":
        pocket = pocket if args.checkpoint else load_folder(args.model)
        if args.bf16:
            pocket.dtype = torch.bfloat16
        run = by_compact(pocket)
    else:
        run = by_transformers(args.model) if args.by == "transformers" else by_program(args.by, args.model, args.compute)
    result = score(fmt, run, cases(args.sudokus, args.trained, args.every), failures=args.failures)
    if args.report:
        args.report.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
