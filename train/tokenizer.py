"""The pocket model's tokenizer: byte-pair encoding in Gemma's file format, 2,048 tokens.

The control tokens of Gemma 4 stand where they stand in the real vocabulary (below 108), then the 256 bytes and the
printable ASCII characters, then what the merges make. As in Gemma, spaces become "▁" and merges run over the whole
text; here they are learned on single words with their leading "▁", so that digits, punctuation and newlines never
merge with anything: every cell of a Sudoku is one token. The first ids do not depend on the texts merges are learned
from, so a model trained on Sudokus alone can go on with a later vocabulary.
Checked by: check.py.
"""
import json
import re
from collections import Counter

VOCAB = 2048
CONTROL = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 5: "[multimodal]", 46: "<|tool>", 47: "<tool|>",
           48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>", 51: "<tool_response|>", 52: '<|"|>',
           98: "<|think|>", 100: "<|channel>", 101: "<channel|>", 105: "<|turn>", 106: "<turn|>",
           2041: "<|image>", 2042: "<|image|>", 2043: "<image|>", 2044: "<|audio>", 2045: "<|audio|>",
           2046: "<audio|>", 2047: "<|video|>"}
WORDS = ["user", "model", "thought", "system"]                 # ids 459..462: the words of every prompt's frame
SPECIAL = {c for i, c in CONTROL.items() if i not in (4, 5)}   # "special" in tokenizer.json: hidden when decoding


def learn_merges(text, room):
    """Byte-pair merges [(left, right)] over the words of `text`; `room` new tokens at most. The words that the frame
    needs are merged first, letter by letter from the left."""
    merges, tokens = [], set()

    def add(pair):
        if pair not in merges:
            merges.append(pair)
            tokens.add(pair[0] + pair[1])

    for w in WORDS:
        for i in range(1, len(w)):
            add((w[:i], w[i]))
    words = Counter(re.findall(r"▁?[A-Za-z]+", text.replace(" ", "▁")))
    split = {}
    for w in words:
        parts = list(w)
        for pair in merges:
            parts = apply(parts, pair)
        split[w] = parts
    while len(tokens - set(WORDS)) < room:
        pairs = Counter()
        for w, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[w]
        if not pairs:
            break
        best, count = min(pairs.items(), key=lambda x: (-x[1], x[0]))
        if count < 2:
            break
        add(best)
        for w, parts in split.items():
            if len(parts) > 1:
                split[w] = apply(parts, best)
    return merges


def apply(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if parts[i:i + 2] == list(pair):
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


def build(text):
    """tokenizer.json as a dict, its merges learned from `text`."""
    fixed = {107: "\n", **{108 + b: f"<0x{b:02X}>" for b in range(256)}, 364: "▁",
             **{365 + i: chr(33 + i) for i in range(94)}, **{459 + i: w for i, w in enumerate(WORDS)}, **CONTROL}
    free = [i for i in range(463, VOCAB) if i not in fixed]
    merges = learn_merges(text, len(free))
    known = set(fixed.values())
    new = list(dict.fromkeys(a + b for a, b in merges if a + b not in known))
    ids = {**fixed, **dict(zip(free, new))}
    unused = (f"<unused{i}>" for i in range(VOCAB))
    vocab = {ids[i] if i in ids else next(unused): i for i in range(VOCAB)}
    assert len(vocab) == VOCAB
    added = [{"id": i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": c in SPECIAL} for i, c in sorted(CONTROL.items())]
    bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    bos_b = {"SpecialToken": {"id": "<bos>", "type_id": 1}}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                          "invert": False},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}},
                                    bos_b, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocab, "merges": [list(m) for m in merges]}}


def save(text, path):
    with open(path, "w") as f:
        json.dump(build(text), f, ensure_ascii=False, indent=1)
