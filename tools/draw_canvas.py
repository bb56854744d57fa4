#!/usr/bin/env python3
"""Draws an answer of `dgemma generate` as one SVG: what its terminal shows at each step, cell by cell.

    python3 tools/draw_canvas.py docs/canvas.svg -- build/dgemma generate -m models/pocket --seed 5 -p "$(cat sudoku.txt)"

The program runs in a pseudo-terminal, each step held for a moment (--pace); every frame that it draws becomes a panel,
with its own characters, states and colours, and the legend is its own. None is left out. The first row has the question
and the noise, with the legend beside it; the second one has the steps. The panels light up one after the other where the viewer shows animations, and
are all there where not. Needs nothing but Python. Used for the picture in README.md, whose question scripts/run asks.
"""
import argparse
import fcntl
import html
import os
import pty
import re
import struct
import termios
import unicodedata
from pathlib import Path

COLUMN, LINE, FONT, PAD, GAP, MARGIN, LABEL = 12.6, 29, 21, 16, 18, 36, 34
GROUND, PANEL, INK, FAINT = "#12141f", "#1a1d2c", "#eef0fa", "#7b8199"
WHOLE_S, DARK_S, STEP_S = 3.5, 1.5, 0.9  # of the animation
SAID = {"noise": "a random token", "draft": "a guess; bluer is surer", "accepted": "kept for the next step",
        "settled": "the same for several steps", "∎": "end of the answer", "◇": "padding after it"}
END_OF_FRAME = "\x1b[?2026l"


def run_in_terminal(command, width, height):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
        os.environ.pop("NO_COLOR", None)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        os.execvp(command[0], command)
    output = b""
    while True:
        try:
            output += os.read(terminal, 1 << 16)
        except OSError:  # the other side is closed
            break
    if os.waitpid(pid, 0)[1] != 0:
        raise SystemExit("the command failed:\n" + output.decode(errors="replace"))
    return output.decode()


class Screen:
    """The part of a terminal that the program uses: rows of (character, look), a look being (colour, bold, faint)."""

    def __init__(self):
        self.rows, self.x, self.y, self.saved, self.look = {}, 0, 0, (0, 0), (None, False, False)

    def write(self, text):
        for code, char in re.findall(r"\x1b(\[[?0-9;]*[A-Za-z]|[78])|([^\x1b])", text):
            if code:
                self.escape(code)
            elif char == "\r":
                self.x = 0
            elif char == "\n":
                self.y += 1
            elif unicodedata.combining(char):
                pass
            else:
                self.rows.setdefault(self.y, {})[self.x] = (char, self.look)
                self.x += 2 if unicodedata.east_asian_width(char) in "WF" else 1

    def escape(self, code):
        kind, number = code[-1], code[1:-1]
        if code == "7":
            self.saved = (self.x, self.y)
        elif code == "8":
            self.x, self.y = self.saved
        elif kind == "m":
            self.set_look(number)
        elif kind in "AB":
            self.y = max(0, self.y + int(number or 1) * (1 if kind == "B" else -1))
        elif kind in "KJ":
            row = self.rows.get(self.y, {})
            self.rows[self.y] = {x: cell for x, cell in row.items() if x < self.x}
            if kind == "J":
                self.rows = {y: row for y, row in self.rows.items() if y <= self.y}

    def set_look(self, number):
        colour, bold, faint = None, False, False
        codes = [int(n or 0) for n in number.split(";")]
        if codes[:1] == [1]:
            bold, codes = True, codes[1:]
        if codes[:2] == [38, 2]:
            colour = "#%02x%02x%02x" % tuple(codes[2:5])
        faint = codes[:1] == [2]
        self.look = (colour, bold, faint)

    def lines(self):
        """Each line as runs of one look: [(column, text, look)]."""
        result = []
        for y in range(max([y for y, row in self.rows.items() if row], default=-1) + 1):
            runs = []
            for x, (char, look) in sorted(self.rows.get(y, {}).items()):
                if runs and runs[-1][2] == look and runs[-1][0] + len(runs[-1][1]) == x:
                    runs[-1] = (runs[-1][0], runs[-1][1] + char, look)
                else:
                    runs.append((x, char, look))
            result.append(runs)
        return result


def text_of(line):
    text = ""
    for x, run, _ in line:
        text = text.ljust(x) + run
    return text


def frames_of(output):
    """[(label, lines)] of the noise and of every step, the legend's line, and the summary."""
    screen, frames, legend = Screen(), [], []
    *updates, rest = output.split(END_OF_FRAME)
    for update in updates:
        screen.write(update)
        lines = screen.lines()
        status = next((i for i, line in enumerate(lines) if re.match(r"noise( ·|$)|canvas \d+ · step", text_of(line))), None)
        if status is None:
            continue  # the prompt is read, or the canvas is final
        legend = lines[status + 1] if len(lines) > status + 1 else legend
        said = re.match(r"canvas (\d+) · (step \d+)/\d+ · (\d+/\d+ accepted)", text_of(lines[status]))
        label = ("noise", "") if not said else (said[2], said[3])
        if not frames or frames[-1] != (label, lines[:status]):
            frames.append((label, lines[:status]))
    summary = re.sub(r"\x1b(\[[?0-9;]*[A-Za-z]|[78])", "", rest).replace("\r", "").strip().splitlines()
    facts = " · ".join(summary).split(" · ")
    kept = [f for f in facts if re.search(r"\d tokens?$|canvas|steps per|per forward", f) and not f.startswith("prompt")]
    return frames, legend, " · ".join(kept)


def words_of(line):
    """The entries of a legend, two spaces apart, each from column 0."""
    cells = {x + i: (c, look) for x, text, look in line for i, c in enumerate(text)}
    words = []
    for match in re.finditer(r"\S+( \S+)*", text_of(line)):
        words.append([(x - match.start(), *cells[x]) for x in range(*match.span())])
    return words


class Picture:
    def __init__(self, width, height, title):
        self.out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
                    f'height="{height:g}"><title>{html.escape(title)}</title>']
        self.classes = {}

    def name_of(self, look):
        return self.classes.setdefault(look, "c" + str(len(self.classes)))

    def line(self, x, y, runs):
        spans = "".join(f'<tspan x="{x + column * COLUMN:.4g}" class="{self.name_of(look)}">{html.escape(text)}</tspan>'
                        for column, text, look in runs)
        if spans:
            self.out.append(f'<text y="{y:g}">{spans}</text>')

    def label(self, x, y, text, css="l", anchor="start"):
        self.out.append(f'<text class="{css}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(text)}</text>')

    def panel(self, number, x, y, columns, rows, label, lines):
        width, height = columns * COLUMN + 2 * PAD, rows * LINE + 2 * PAD - 6
        self.out.append(f'<g class="p{number}">')
        self.label(x + 2, y + 18, label[0], "s")
        self.label(x + width - 2, y + 18, label[1], "l", "end")
        self.out.append(f'<rect class="b" x="{x:g}" y="{y + LABEL - 6:g}" width="{width:g}" height="{height:g}" rx="10"/>')
        for i, runs in enumerate(lines):
            self.line(x + PAD, y + LABEL + PAD + 16 + i * LINE, runs)
        self.out.append("</g>")
        return x + width + GAP

    def style(self, panels):
        rules = [f'text{{font:{FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;'
                 f'white-space:pre}}', f".b{{fill:{PANEL}}}",
                 f'text.l,text.s,text.t{{font:13px ui-sans-serif,system-ui,"Segoe UI",Helvetica,Arial,sans-serif;fill:{FAINT}}}',
                 f"text.s{{font-size:15px;font-weight:600;fill:{INK}}}", f"text.t{{font-size:16px}}"]
        for (colour, bold, faint), name in self.classes.items():
            rules.append(f".{name}{{fill:{FAINT if faint else colour or INK}{';font-weight:700' if bold else ''}}}")
        total = WHOLE_S + DARK_S + STEP_S * panels + WHOLE_S
        for i in range(panels):  # all of it first, for viewers that show one moment only
            dark, lit = 100 * WHOLE_S / total, 100 * (WHOLE_S + DARK_S + STEP_S * i) / total
            rules.append(f".p{i + 1}{{animation:k{i} {total:g}s infinite}}@keyframes k{i}{{0%,{dark:.1f}%{{opacity:1}}"
                         f"{dark + 3:.1f}%,{lit:.1f}%{{opacity:.13}}{lit + 3:.1f}%,100%{{opacity:1}}}}")
        rules.append("@media(prefers-reduced-motion:reduce){g{animation:none!important}}")
        return "<style>" + "\n".join(rules) + "</style>"


def draw(question, frames, legend, summary, width):
    (noise_label, noise), steps = frames[0], frames[1:]
    columns = max(len(text_of(line)) for _, lines in steps for line in lines)
    rows = max(len(lines) for _, lines in frames)
    columns = max([columns] + [len(line) for line in question[1:]])
    panel = columns * COLUMN + 2 * PAD + GAP
    total = MARGIN * 2 - GAP + max(len(steps) * panel, panel + width * COLUMN + 2 * PAD + GAP)
    row = LABEL + rows * LINE + 2 * PAD + 14
    height = MARGIN + 2 * row + 40
    picture = Picture(total, height, "A Sudoku comes into focus: what dgemma generate draws at every step")
    picture.out.append(f'<rect width="{total:g}" height="{height:g}" rx="16" fill="{GROUND}"/>')
    plain, given = (FAINT, False, False), (INK, True, False)
    asked = [[(x, c, plain if c == "." else given) for x, c in enumerate(line)] for line in question[1:]]
    x = picture.panel(0, MARGIN, MARGIN - 10, columns, rows, (question[0].rstrip(":"), ""), asked)
    x = picture.panel(1, x, MARGIN - 10, width, rows, noise_label, noise)
    shown = {text_of(runs).split()[0]: runs for runs in words_of(legend)}
    for i, (word, meaning) in enumerate(SAID.items()):
        y = MARGIN - 10 + LABEL + PAD + 16 + i * LINE
        runs = shown.get(word, [(0, word, (None, False, True))])  # the program leaves out what its terminal has no room for
        picture.line(x + 6, y, [run for run in runs if run[0] < len(word)])
        picture.label(x + 6 + 9.2 * COLUMN, y - 1, meaning)
    x = MARGIN
    for i, (label, lines) in enumerate(steps):
        x = picture.panel(2 + i, x, MARGIN - 10 + row, columns, rows, label, lines)
    picture.label(total - MARGIN - 2, height - 26, summary, "t", "end")
    picture.label(MARGIN + 2, height - 26, "every frame that dgemma generate drew, from noise to answer", "t")
    picture.out.insert(1, picture.style(len(frames)))
    return "\n".join(picture.out) + "\n</svg>\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("--width", type=int, default=46, help="columns of the terminal")
    p.add_argument("command", nargs="+", help="after --: dgemma generate ... -p QUESTION")
    a = p.parse_args()
    question = a.command[a.command.index("-p") + 1].strip().splitlines()
    frames, legend, summary = frames_of(run_in_terminal(a.command + ["--pace", "0.1"], a.width, 40))
    a.out.write_text(draw(question, frames, legend, summary, a.width))


if __name__ == "__main__":
    main()
