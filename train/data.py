"""Training examples: Sudokus and conversations, rendered by the chat template, tokenized, packed into batches.

Every example is (prompt ids, canvas ids): the prompt as the chat template renders it with thinking off, and one canvas
of L tokens, the answer, <turn|>, then padding. A batch is a fixed number of prompts of one padded length, each with
several canvases that differ only in their noise. Conversations come from data/*.jsonl (see README.md there).
Checked by: check.py.
"""
import json
import random
from pathlib import Path

import jinja2
import numpy as np
import torch
from tokenizers import Tokenizer

import sudoku

HERE = Path(__file__).parent
TURN_END = 106


class Format:
    """Chat format and tokenizer of one model folder."""

    def __init__(self, tokenizer, template, L=64):
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
        self.template = env.from_string(Path(template).read_text())
        self.L = L
        self.known = {}

    def render(self, messages):
        return self.template.render(messages=messages, bos_token="<bos>", add_generation_prompt=True)

    def prompt(self, messages):
        return self.tokenizer.encode(self.render(messages), add_special_tokens=False).ids

    def canvas(self, answer):
        """Canvas ids [L] of an answer; the answer must leave room for <turn|>."""
        if answer not in self.known:
            ids = self.tokenizer.encode(answer, add_special_tokens=False).ids + [TURN_END]
            if len(ids) > self.L:
                raise ValueError(f"answer of {len(ids) - 1} tokens does not fit a canvas: {answer!r}")
            self.known[answer] = ids + [0] * (self.L - len(ids))
        return self.known[answer]

    def text(self, canvas):
        """The answer in a canvas: what stands before the first end token."""
        ids = list(canvas)
        end = next((i for i, t in enumerate(ids) if t in (1, 50, TURN_END)), len(ids))
        return self.tokenizer.decode(ids[:end], skip_special_tokens=False)


def read_jsonl(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def user(text):
    return {"role": "user", "content": text}


def model(text):
    return {"role": "model", "content": text}


SUDOKU_WORDS = ["Solve this Sudoku:\n{}", "Solve this Sudoku:\n{}", "Solve this Sudoku:\n{}", "{}", "{}",
                "Solve this sudoku:\n{}", "Please solve this Sudoku:\n{}", "Solve:\n{}", "Sudoku:\n{}",
                "Can you solve this Sudoku?\n{}", "Solve this 6x6 Sudoku:\n{}", "Here is a Sudoku:\n{}",
                "Solve the Sudoku:\n{}", "solve this\n{}", "Solve this puzzle:\n{}", "What is the solution?\n{}",
                "Please solve:\n{}", "Another one:\n{}", "Solve this Sudoku\n{}", "Solve this Sudoku:\n\n{}"]


class Examples:
    """Draws examples; `talk` is None for Sudokus alone."""

    def __init__(self, fmt, chains, talk=None, seed=0, bare=False):
        self.fmt, self.chains, self.talk, self.bare = fmt, chains, talk, bare
        self.rng, self.nprng = random.Random(seed), np.random.default_rng(seed)

    def sudoku_texts(self):
        puzzle, solution = self.chains.draw(self.nprng)
        words = "{}" if self.bare else self.rng.choice(SUDOKU_WORDS)
        return words.format(sudoku.text(puzzle)), sudoku.text(solution)

    def sudoku(self):
        question, answer = self.sudoku_texts()
        return self.fmt.prompt([user(question)]), self.fmt.canvas(answer)

    def batch(self, kinds, P, copies):
        """`kinds`: for each prompt the name of the method that draws it. -> tokens [B, P], lengths [B],
        clean canvases [B * copies, L]. An example that is longer than P is drawn again."""
        prompts, lengths, canvases = [], [], []
        for kind in kinds:
            source = self if kind == "sudoku" else self.talk
            p, canvas = getattr(source, kind)()
            while len(p) > P:
                p, canvas = getattr(source, kind)()
            prompts.append(p + [0] * (P - len(p)))
            lengths.append(len(p))
            canvases += [canvas] * copies
        return torch.tensor(prompts), torch.tensor(lengths), torch.tensor(canvases)
