#!/usr/bin/env python3
"""Writes the tokenizer test data under tests/data/text: two small tokenizers and ids recorded from `tokenizers`.

gemma3_small.json and gemma4_small.json are cut out of Gemma 3's real tokenizer.json: the tokens that a sample of texts
needs, with every merge between them, in the real order. The second has Gemma 4's markers in place of Gemma 3's and no
added tokens for white space. tokenizer_cases.jsonl holds {"tokenizer", "hex" (the text's bytes), "ids"}, with ids from
the PyPI package `tokenizers`; tokenizer_variants.jsonl holds whole little tokenizers, one for each flag, with cases.

    python3 tools/make_tokenizer_fixture.py gemma3-tokenizer.json tests/data/text
    python3 tools/make_tokenizer_fixture.py tokenizer.json --check PROGRAM  # compare PROGRAM with the package at length

PROGRAM --check is called as PROGRAM tokenize --tokenizer tokenizer.json --jsonl (one JSON string a line in,
one array of ids a line out).
"""
import json
import random
import subprocess
import sys

from tokenizers import Tokenizer

SAMPLE = """The quick brown fox jumps over the lazy dog. Hello, world! What is 12 + 345? It's 3.14159, isn't it?
user model system thought call response declaration description properties type string object required true false
def main(argc, argv):\n\treturn sum(x ** 2 for x in range(10))  # comment\n    if (a == b && c != d) { print("ok"); }
Größe, naïve café, œuvre, mañana, São Paulo, Łódź, İstanbul, smörgåsbord. Привет, мир! Как дела? Γειά σου Κόσμε.
שלום עולם. مرحبا بالعالم. नमस्ते दुनिया। สวัสดีชาวโลก 你好，世界。今日は良い天気ですね。안녕하세요 세계. xin chào thế giới
😀👍🏽👨‍👩‍👧‍👦🏳️‍🌈🇩🇪 ∀x∈ℝ: ⌈x⌉ = −⌊−x⌋ € £ ¥ … — “quotes” ‘single’ «guillemets» <html><body><h1>T</h1></body></html>
https://example.com/path?q=1&r=two#frag user@example.org 2024-11-24T08:15:00Z 0xDEADBEEF 1e-9 AAAAAAAA --------- ======
aaaa bbbb the the  two  spaces   three    four\t\ttabs\n\nnewlines\n\n\n<|turn>user\n<tool_call|>{key:<|"|>value<|"|>}"""

GEMMA4_MARKERS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
                  "<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>",
                  "<turn|>", "<|image>", "<image|>", "<|image|>", "<|audio|>", "<|video|>"]

SCRIPTS = [(0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
           (0xE00, 0xE7F), (0x1100, 0x11FF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF),
           (0x1D400, 0x1D7FF), (0x10000, 0x10FFF), (0x2000, 0x206F), (0xE000, 0xE0FF), (0xFFF0, 0xFFFF), (0, 0x1F),
           (0x300, 0x36F), (0x20000, 0x2A6DF), (0xE0001, 0xE007F)]


def cut(real, added, drop):
    """A tokenizer.json with the tokens that SAMPLE needs and `added` as its added tokens."""
    vocab, merges = real["model"]["vocab"], [tuple(m) for m in real["model"]["merges"]]
    best = {}
    for left, right in merges:
        best.setdefault(left + right, (left, right))
    full = Tokenizer.from_str(json.dumps({**real, "added_tokens": []}))
    wanted = [t for line in SAMPLE.split("\n") for word in [line] + line.split(" ") + line.lower().split(" ")
              for t in full.encode(word, add_special_tokens=False).tokens]
    wanted += [chr(c) for c in range(0x21, 0x7F)] + ["\n", "\t", "▁"] + [c * n for c in "\n\t▁" for n in range(2, 9)]
    keep = {t["content"] for t in added}
    while wanted:
        token = wanted.pop()
        if token in vocab and token not in keep and token not in drop:
            keep.add(token)
            wanted += best.get(token, ())
    keep |= {"<0x%02X>" % b for b in range(256)}
    first = [t["content"] for t in added if t["content"] not in vocab or t["content"].startswith("<")]
    ordered = first + sorted(keep - set(first), key=vocab.get)
    ids = {t: i for i, t in enumerate(ordered)}
    kept = [list(m) for m in merges if {m[0], m[1], m[0] + m[1]} <= keep]
    return {**real, "added_tokens": [{**t, "id": ids[t["content"]]} for t in added],
            "model": {**real["model"], "vocab": ids, "merges": kept}}


def small_tokenizers(real):
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    names = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", "<unused0>", "<unused1>", "<unused12>",
             "<start_of_turn>", "<end_of_turn>", "<h1>", "</h1>", "<b>", "</b>"}
    gemma3 = [t for t in real["added_tokens"]
              if t["content"] in names or (t["content"].strip("\n▁\t") == "" and len(t["content"]) <= 8)]
    gemma4 = [{"content": m, **plain, "special": True} for m in GEMMA4_MARKERS]
    drop = {t["content"] for t in real["added_tokens"] if t["content"].startswith(("<", "["))}
    return {"gemma3_small": cut(real, gemma3, drop), "gemma4_small": cut(real, gemma4, drop)}


class Texts:
    """Nasty byte strings: scripts, emoji, white space, markers whole and broken, invalid UTF-8."""

    def __init__(self, tokenizer_json, seed):
        self.r = random.Random(seed)
        self.added = [t["content"] for t in tokenizer_json["added_tokens"]]
        self.vocab = list(tokenizer_json["model"]["vocab"])

    def piece(self):
        r, k = self.r, self.r.random()
        if k < 0.2:
            return r.choice(self.added)
        if k < 0.45:
            return r.choice(self.vocab).replace("▁", " ")
        if k < 0.55:
            return r.choice([" ", "\n", "\t", "▁", "\r\n", "\u00a0", "\u2003"]) * r.randint(1, 40)
        if k < 0.65:
            return r.choice(["👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "e\u0301\u0301", "\ufeff", "\u200b\u200d"])
        if k < 0.7:
            return r.choice("aA0 ?あ😀=-_") * r.randint(1, 60)
        if k < 0.75:
            return r.choice(self.added)[:-1]
        if k < 0.8:
            return "<0x%02X>" % r.randint(0, 255)
        low, high = r.choice(SCRIPTS)
        return "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 12)))

    def text(self):
        text = "".join(self.piece() for _ in range(self.r.randint(1, 8)))
        data = bytearray("".join(c for c in text if not 0xD800 <= ord(c) < 0xE000).encode())
        if self.r.random() < 0.25:
            for _ in range(self.r.randint(1, 4)):
                data[self.r.randrange(len(data))] = self.r.randint(0, 255)
        return bytes(data)


def ids_of(tokenizer, data):
    return tokenizer.encode(data.decode("utf-8", errors="replace"), add_special_tokens=False).ids


def hand_made():
    yield from [b"", b" ", b"  ", b"\n", b"a", b" a", b"a ", b"<bos>", b"<bos><bos>a", b"<bo", b"\xff", b"\xe2\x96",
                b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\x00", b"\x00\x01\x02", b"\xef\xbb\xbfbom"]
    yield from [line.encode() for line in SAMPLE.split("\n")]
    yield from [(c * n).encode() for c in " \n\ta▁é😀" for n in (1, 2, 3, 7, 8, 9, 31, 32, 33, 100)]


def variants():
    """Whole tokenizers of a few tokens, one for each flag of the format."""
    def token(content, id, **flags):
        return {"id": id, "content": content, "special": False, "normalized": False, "lstrip": False, "rstrip": False,
                "single_word": False, **flags}

    chars = ["<unk>", "▁", "a", "b", "c", "d", "ab", "abc", "▁a", "ba", "cab", "<0x41>", "<0xC3>", "<0xA9>", "x", "\n"]
    vocab = {t: i for i, t in enumerate(chars)}
    base_model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocab, "merges": [["a", "b"], ["ab", "c"], ["▁", "a"], ["b", "a"], ["c", "ab"]]}
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [token("<unk>", 0, special=True)],
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": None,
            "post_processor": None, "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}}

    def make(model=None, added=(), **more):
        return {**base, **more, "added_tokens": base["added_tokens"] + list(added), "model": {**base_model, **(model or {})}}

    n = len(chars)
    yield make()
    yield make({"ignore_merges": True}, [token("Z", n, single_word=True), token("dx", n + 1, single_word=True)])
    yield make({"fuse_unk": False})
    yield make({"byte_fallback": False})
    yield make({"byte_fallback": False, "unk_token": None})
    yield make({"byte_fallback": False, "fuse_unk": False})
    yield make({"ignore_merges": True, "merges": [["a", "b"], ["b", "a"]]})
    yield make({"merges": ["#version: 0.2", "a b", "ab c", "▁ a"]})
    yield make({"merges": [["a", "b"], ["ab", "c"], ["a", "b"]]})
    yield make(normalizer=None, pre_tokenizer={"type": "Split", "pattern": {"String": "c"}, "behavior": "MergedWithPrevious",
                                               "invert": False})
    yield make(normalizer={"type": "Sequence", "normalizers": [base["normalizer"], {
        "type": "Replace", "pattern": {"String": "x"}, "content": "ab"}]})
    for flags in ({}, {"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}, {"single_word": True},
                  {"normalized": True}, {"special": True, "single_word": True, "rstrip": True}):
        yield make(None, [token("ab", vocab["ab"], **flags), token("<|x|>", n, **flags), token(" b", n + 1, **flags),
                          token("abab", n + 2, **flags), token("\n", vocab["\n"])])


def write_cases(out_dir, small):
    with open(out_dir + "/tokenizer_cases.jsonl", "w", encoding="utf-8") as out:
        for name, spec in small.items():
            tokenizer, source = Tokenizer.from_str(json.dumps(spec)), Texts(spec, 1)
            for data in list(hand_made()) + [source.text() for _ in range(150)]:
                case = {"tokenizer": name, "hex": data.hex(), "ids": ids_of(tokenizer, data)}
                out.write(json.dumps(case, separators=(",", ":")) + "\n")
    r = random.Random(2)
    pieces = ["a", "b", "c", "d", "ab", "abc", "x", " ", "\n", "\t", "é", "A", "Z", "<|x|>", "<unk>", "ab ", " b", "_", "\u00a0", "ア", "●"]
    with open(out_dir + "/tokenizer_variants.jsonl", "w", encoding="utf-8") as out:
        for spec in variants():
            tokenizer = Tokenizer.from_str(json.dumps(spec))
            cases = []
            for _ in range(60):
                text = "".join(r.choice(pieces) for _ in range(r.randint(0, 12)))
                ids = ids_of(tokenizer, text.encode())
                cases.append([text, ids, tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=False)])
            out.write(json.dumps({"tokenizer": spec, "cases": cases}, ensure_ascii=False, separators=(",", ":")) + "\n")


def check(path, program):
    tokenizer = Tokenizer.from_file(path)
    source = Texts(json.load(open(path, encoding="utf-8")), 3)
    texts = [d.decode("utf-8", errors="replace") for d in list(hand_made()) + [source.text() for _ in range(3000)]]
    texts += ["a" * 10**6, " " * 10**6, "\n" * 10**6, "日本語" * 100000, SAMPLE * 400]
    run = subprocess.run([program, "tokenize", "--tokenizer", path, "--jsonl"], check=True, capture_output=True,
                         input="".join(json.dumps(t) + "\n" for t in texts).encode())
    got = [json.loads(line) for line in run.stdout.splitlines()]
    wrong = [t for t, ids in zip(texts, got) if ids != ids_of(tokenizer, t.encode())]
    print(f"{len(got)} texts, {len(wrong)} differ", *[repr(t[:80]) for t in wrong[:5]], sep="\n")
    return 1 if wrong or len(got) != len(texts) else 0


def main():
    if sys.argv[2] == "--check":
        sys.exit(check(sys.argv[1], sys.argv[3]))
    small = small_tokenizers(json.load(open(sys.argv[1], encoding="utf-8")))
    for name, spec in small.items():
        with open(f"{sys.argv[2]}/{name}.json", "w", encoding="utf-8") as out:
            json.dump(spec, out, ensure_ascii=False, separators=(",", ":"))
            out.write("\n")
    write_cases(sys.argv[2], small)


if __name__ == "__main__":
    main()
