#!/usr/bin/env python3
"""Tokens per second of dgemma and of Hugging Face transformers: same model, prompts, seed, threads, in turn.

    python3 bench/against_transformers.py build/answers_bench models/pocket [--threads 2] [--runs 5] [--compute f32,int8]

transformers computes in float32, its fastest here; both draw the random numbers of docs/MODEL.md. With --compute f32 both
must give the same tokens: where they differ the program stops. Both are warm: models loaded, a first run not counted;
each time is an answer's, prompt and denoising. Needs torch, transformers >= 5.23 and tokenizers from PyPI, and a build
with -DDGEMMA_BENCH=ON; not part of the build or of CI.
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

PROMPTS = ["Solve this Sudoku:\n.5....\n2.3...\n...1..\n.1..23\n...5..\n.2..61", "Who are you?", "What is a canvas?"]
REST = 0.02


def before_end(tokens, end_ids):
    return tokens[:next((i for i, t in enumerate(tokens) if t in end_ids), len(tokens))]


class Ours:
    """answers_bench, running, with its tokens per second and the ratios to transformers' beside them."""

    def __init__(self, program, model, threads, compute):
        command = [program, str(model), str(threads), compute]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rates, self.ratios = [], []

    def answer(self, prompt, seed):
        time.sleep(REST)
        print(seed, ",".join(map(str, prompt)), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("answers_bench ended")
        return json.loads(line)


def line_of(name, rates, ratios=None):
    text = f"{name:14} {statistics.median(rates):8.0f} tokens/s ({min(rates):.0f} to {max(rates):.0f})"
    return text + (f", ratio {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})" if ratios else "")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model", type=Path)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--prompt", action="append", help="in place of the three built-in ones; may be repeated")
    p.add_argument("--seed", type=int, default=5)
    p.add_argument("--compute", default="f32,bf16,int8")
    a = p.parse_args()

    torch.set_num_threads(a.threads)
    theirs = DiffusionGemmaForBlockDiffusion.from_pretrained(a.model, dtype=torch.float32).eval()
    theirs.set_experts_implementation("eager")
    fmt = data.Format(a.model / "tokenizer.json", a.model / "chat_template.jinja")
    end_ids = set(json.loads((a.model / "generation_config.json").read_text())["eos_token_id"])
    for text in a.prompt or PROMPTS:
        prompt = fmt.prompt([data.user(text)])
        ours = {compute: Ours(a.program, a.model, a.threads, compute) for compute in a.compute.split(",")}
        reference = []
        for run in range(a.runs + 1):  # the first warms all up and does not count
            time.sleep(REST)
            start = time.perf_counter()
            canvas, steps = dice.generate(theirs, prompt, a.seed)
            rate = len(tokens := before_end(canvas, end_ids)) / (time.perf_counter() - start)
            reference += [rate] if run > 0 else []
            for compute, program in ours.items():
                answer = program.answer(prompt, a.seed)
                if compute == "f32" and tokens != answer["tokens"]:
                    sys.exit(f"the two answers differ: {answer['tokens']} and {tokens}")
                if run > 0:
                    program.rates.append(len(answer["tokens"]) / answer["seconds"])
                    program.ratios.append(program.rates[-1] / rate)
        print(f"{text.splitlines()[0]!r}: {len(prompt)} tokens, answered with {len(tokens)} in {steps} steps, {a.threads} threads; "
              f"medians of {a.runs} runs in turn")
        print(line_of("transformers", reference))
        for compute, program in ours.items():
            print(line_of("dgemma " + compute, program.rates, program.ratios))
            program.process.stdin.close()


if __name__ == "__main__":
    main()
