"""Writes the evaluation sets: data/sudoku_eval.jsonl (500 fresh Sudokus) and data/heldout.jsonl (wordings and later
turns that training never draws). Both are committed, so that the C++ tests and scripts can score dgemma with them.

A line is {"kind", "id", "messages", "answer"}; kinds: sudoku (with "givens"), question, refusal, later. The Sudokus
come from chains of another seed than training's; the number of givens is drawn as in sudoku.Chains with hard = 0:
uniform from 8 to 22, at least what the minimal puzzle at the end of its chain has (mostly 9 to 11).

    python3 make_eval.py
"""
import json
import random

import numpy as np

import data
import sudoku

SEED, COUNT = 20261124, 500


def line(kind, name, messages, answer, **more):
    return json.dumps({"kind": kind, "id": name, "messages": messages, "answer": answer, **more}, ensure_ascii=False)


def sudokus():
    chains = sudoku.Chains(*sudoku.make_chains(COUNT, SEED), hard=0.0)
    rng = np.random.default_rng(SEED)
    for i in range(COUNT):
        puzzle, solution = chains.draw(rng)
        yield line("sudoku", f"sudoku-{i}", [data.user("Solve this Sudoku:\n" + sudoku.text(puzzle))],
                   sudoku.text(solution), givens=int((puzzle > 0).sum()))


def talk(questions, refusals):
    for kind, items in (("question", questions), ("refusal", refusals)):
        for q in items:
            for words in q["held_out"]:
                yield line(kind, q["id"], [data.user(words)], q["answer"])


def later(questions):
    """Second turns: remarks, questions and Sudokus, all in held-out wordings, after a question or a Sudoku."""
    rng, chains = random.Random(SEED), sudoku.Chains(*sudoku.make_chains(60, SEED + 1), hard=0.0)
    nprng = np.random.default_rng(SEED + 1)
    by_id = {q["id"]: q for q in questions}

    def puzzle():
        p, s = chains.draw(nprng)
        return "Solve this Sudoku:\n" + sudoku.text(p), sudoku.text(s), "sudoku"

    def question(q):
        return rng.choice(q["held_out"]), q["answer"], q["id"]

    for i in range(60):
        first = puzzle() if i % 2 else question(rng.choice(questions))
        second = [question(by_id["thanks"]), question(by_id["bye"]), question(rng.choice(questions)), puzzle(),
                  question(rng.choice(questions))][i % 5]
        yield line("later", second[2], [data.user(first[0]), data.model(first[1]), data.user(second[0])], second[1])


def main():
    folder = data.HERE / "data"
    questions, refusals = data.read_jsonl(folder / "questions.jsonl"), data.read_jsonl(folder / "refusals.jsonl")
    (folder / "sudoku_eval.jsonl").write_text("\n".join(sudokus()) + "\n")
    (folder / "heldout.jsonl").write_text("\n".join([*talk(questions, refusals), *later(questions)]) + "\n")


if __name__ == "__main__":
    main()
