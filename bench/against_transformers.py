#!/usr/bin/env python3
"""Tokens per second of dgemma and of Hugging Face transformers: same model, prompt, seed, threads, in turn.

    python3 bench/against_transformers.py build/dgemma models/pocket [--threads 2] [--runs 5] [--prompt TEXT]

Both run in float32 with the random numbers of docs/MODEL.md, so both must give the same tokens; a run where they differ
is not counted but reported as a failure. dgemma's time is the answer's (prompt and denoising, without loading), as is
that of generate. Needs torch, transformers >= 5.23 and tokenizers from PyPI; not part of the build or of CI.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))

import torch
from transformers import DiffusionGemmaForBlockDiffusion

import data
import dice

SUDOKU = "Solve this Sudoku:\n.5....\n2.3...\n...1..\n.1..23\n...5..\n.2..61"


def before_end(tokens, end_ids):
    return tokens[:next((i for i, t in enumerate(tokens) if t in end_ids), len(tokens))]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model", type=Path)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--prompt", default=SUDOKU)
    p.add_argument("--seed", type=int, default=5)
    a = p.parse_args()

    torch.set_num_threads(a.threads)
    theirs = DiffusionGemmaForBlockDiffusion.from_pretrained(a.model, dtype=torch.float32).eval()
    theirs.set_experts_implementation("eager")
    fmt = data.Format(a.model / "tokenizer.json", a.model / "chat_template.jinja")
    prompt = fmt.prompt([data.user(a.prompt)])
    end_ids = set(json.loads((a.model / "generation_config.json").read_text())["eos_token_id"])
    command = [a.program, "generate", "-m", str(a.model), "--prompt-ids", ",".join(map(str, prompt)), "--seed", str(a.seed),
               "--threads", str(a.threads), "--compute", "f32", "--json"]

    ours, reference, ratios = [], [], []
    for run in range(a.runs + 1):  # the first warms both up and does not count
        answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        start = time.perf_counter()
        canvas, steps = dice.generate(theirs, prompt, a.seed)
        seconds = time.perf_counter() - start
        tokens = before_end(canvas, end_ids)
        if tokens != answer["tokens"]:
            sys.exit(f"the two answers differ: {answer['tokens']} and {tokens}")
        if run == 0:
            continue
        ours.append(len(tokens) / answer["timing"]["answer_s"])
        reference.append(len(tokens) / seconds)
        ratios.append(ours[-1] / reference[-1])
    print(f"{len(tokens)} tokens in {steps} steps, {a.threads} threads, medians of {a.runs} runs in turn")
    print(f"dgemma        {statistics.median(ours):8.1f} tokens/s  ({min(ours):.1f} to {max(ours):.1f})")
    print(f"transformers  {statistics.median(reference):8.1f} tokens/s  ({min(reference):.1f} to {max(reference):.1f})")
    print(f"ratio         {statistics.median(ratios):8.1f}  ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
