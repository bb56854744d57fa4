"""Learns the tokenizer's merges from the texts in data/ and writes tokenizer.json.

    python3 make_tokenizer.py OUT.json
"""
import sys

import data
import talk
import tokenizer


def corpus():
    """Answers weigh six times as much as wordings: they are what the model has to write."""
    folder, text = data.HERE / "data", []
    for q in data.read_jsonl(folder / "questions.jsonl"):
        frames = [f.format(n) for n in q.get("names", []) for f in talk.FRAMES[:6]]
        text += [q["answer"]] * 6 + q["ask"] + frames
    for r in data.read_jsonl(folder / "refusals.jsonl"):
        text += [r["answer"]] * 6 + r["ask"] + [v for values in r["fill"].values() for v in values]
    text += talk.OPENINGS + talk.CLOSINGS + talk.SYSTEMS + data.SUDOKU_WORDS
    return "\n".join(text).replace("{}", " ")


if __name__ == "__main__":
    tokenizer.save(corpus(), sys.argv[1])
