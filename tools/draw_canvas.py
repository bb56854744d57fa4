#!/usr/bin/env python3
"""Draws the canvas of a trace, step by step, as one SVG: how an answer comes into focus.

    build/dgemma generate -m models/pocket -p "..." --seed 7 --trace answer.jsonl
    python3 tools/draw_canvas.py answer.jsonl models/pocket/tokenizer.json docs/canvas.svg [--columns 7] [--frames 6]

Each frame is the first canvas at one step, its rows (tokens) laid out in COLUMNS columns and coloured by what they are:
noise, draft (by entropy), accepted, settled (what stays to the end). Needs nothing but Python.
"""
import argparse
import html
import json
from pathlib import Path

CELL_W, CELL_H, GAP, TOP, MARGIN = 30, 26, 34, 118, 28
COLOURS = {"noise": "#4a5068", "draft": "#d9a441", "accepted": "#58c4dd", "settled": "#f2f4ff"}


def token_texts(path):
    model = json.loads(path.read_text())
    texts = {i: t for t, i in model["model"]["vocab"].items()}
    texts.update({t["id"]: t["content"] for t in model["added_tokens"]})
    return texts


def shown(text):
    """At most four characters of a token: newlines and spaces visible, control tokens as a dot."""
    if text == "\n":
        return "↵"
    if text.startswith("<") and text.endswith(">") and len(text) > 1:
        return "·"
    text = text.replace("▁", " ").replace("\n", "↵").strip() or "␣"
    return text if len(text) <= 4 else text[:3] + "…"


def frames_of(lines, wanted):
    steps = [x for x in lines if x["type"] == "step" and x["canvas"] == 0]
    final = steps[-1]["best"]
    frames = [("noise", [("noise", t, 0.0) for t in steps[0]["input"]])]
    for i, s in enumerate(steps):
        rows = []
        for row, token in enumerate(s["best"]):
            stays = all(later["best"][row] == final[row] for later in steps[i:])
            state = "settled" if stays and s["accepted"][row] else "accepted" if s["accepted"][row] else "draft"
            rows.append((state, token, s["entropy"][row]))
        frames.append((f"step {i + 1}", rows))
    if len(frames) > wanted:  # the first, the last, and evenly between them
        keep = {round(i * (len(frames) - 1) / (wanted - 1)) for i in range(wanted)}
        frames = [f for i, f in enumerate(frames) if i in keep]
    return frames


def opacity(state, entropy):
    return 1.0 if state != "draft" else max(0.35, 1.0 - entropy / 3)


def draw(frames, texts, columns, rows_shown, title, summary):
    width = MARGIN * 2 + len(frames) * columns * CELL_W + (len(frames) - 1) * GAP
    height = TOP + rows_shown * CELL_H + 74
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="15">',
           f"<title>{html.escape(title)}</title>",
           f'<rect width="{width}" height="{height}" rx="14" fill="#12141f"/>',
           *(f'<circle cx="{MARGIN + 2 + i * 20}" cy="28" r="6" fill="{c}"/>'
             for i, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))),
           f'<text x="{MARGIN + 76}" y="33" fill="#9aa0b8">{html.escape(title)}</text>']
    for i, (name, rows) in enumerate(frames):
        x0 = MARGIN + i * (columns * CELL_W + GAP)
        out.append(f'<text x="{x0}" y="{TOP - 26}" fill="#6f7690" font-size="13">{name}</text>')
        out.append(f'<rect x="{x0 - 8}" y="{TOP - 14}" width="{columns * CELL_W + 12}" '
                   f'height="{rows_shown * CELL_H + 16}" rx="8" fill="#191c2b"/>')
        for row, (state, token, entropy) in enumerate(rows[:columns * rows_shown]):
            x = x0 + row % columns * CELL_W + CELL_W / 2
            y = TOP + row // columns * CELL_H + 14
            text = shown(texts.get(token, "?"))
            size = f' font-size="{ {1: 17, 2: 15, 3: 11}.get(len(text), 9) }"'
            weight = ' font-weight="bold"' if state == "settled" else ""
            out.append(f'<text x="{x:g}" y="{y}" text-anchor="middle" fill="{COLOURS[state]}" '
                       f'opacity="{opacity(state, entropy):.2f}"{size}{weight}>{html.escape(text)}</text>')
    x, y = MARGIN, height - 28
    for state, colour in COLOURS.items():
        out.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" rx="3" fill="{colour}"/>'
                   f'<text x="{x + 18}" y="{y}" fill="#9aa0b8" font-size="13">{state}</text>')
        x += 110
    out.append(f'<text x="{width - MARGIN}" y="{y}" text-anchor="end" fill="#9aa0b8" font-size="13">'
               f'{html.escape(summary)}</text></svg>')
    return "\n".join(out) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("trace", type=Path)
    p.add_argument("tokenizer", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--columns", type=int, default=7)
    p.add_argument("--rows", type=int, default=7)
    p.add_argument("--frames", type=int, default=6)
    p.add_argument("--title", default="dgemma generate: a Sudoku comes into focus")
    a = p.parse_args()
    lines = [json.loads(line) for line in a.trace.read_text().splitlines()]
    canvas = next(x for x in lines if x["type"] == "canvas")
    summary = f"{canvas['committed']} tokens in {canvas['steps']} steps, from a real trace"
    a.out.write_text(draw(frames_of(lines, a.frames), token_texts(a.tokenizer), a.columns, a.rows, a.title, summary))


if __name__ == "__main__":
    main()
