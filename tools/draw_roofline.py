#!/usr/bin/env python3
"""Draws a roofline of `dgemma bench --json`: how near each part of a denoising step is to what the machine can do.

    build/dgemma bench -m model.gguf --json > bench.json
    python3 tools/draw_roofline.py bench.json docs/roofline.svg [--context N] [--title TEXT]

Left: the roof (memory read rate, then the peak of each precision) and a dot for each part, with the gap above it.
Right: where the step's time goes, and how much of it the limit explains. Each line of each input is one report (a run
with several --kernels or --compute gives several); at most three are drawn. Light and dark. Needs nothing but Python.
Source of the picture: Williams, Waterman and Patterson, "Roofline" (CACM 2009).
"""
import argparse
import html
import json
import math
from pathlib import Path

PARTS = ["experts", "projections", "dense", "vocabulary", "attention", "rest"]
COLOURS = dict(zip(PARTS, ["#e4572e", "#2e86de", "#17a398", "#8e5bd6", "#d99a1c", "#7d8597"]))
MARKS = ["circle", "diamond", "square"]
LEFT, TOP, PLOT_W, PLOT_H, GAP, BARS_W, MARGIN = 92, 112, 560, 420, 64, 330, 32
STYLE = """
  .page { fill: #ffffff } .ink { fill: #1b1f2a } .soft { fill: #5c6475 } .grid { stroke: #e4e7ee } .roof { stroke: #1b1f2a }
  .under { fill: #eef1f7 } .track { fill: #e4e7ee } .gap { stroke: #9aa2b4 } .ring { stroke: #ffffff }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12151d } .ink { fill: #eef0f6 } .soft { fill: #9aa2b4 } .grid { stroke: #262c3a } .roof { stroke: #eef0f6 }
    .under { fill: #191e29 } .track { fill: #2a3140 } .gap { stroke: #5c6475 } .ring { stroke: #12151d }
  }
  text { font: 13px ui-sans-serif, system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 20px; font-weight: 650 } .small { font-size: 11.5px } .bold { font-weight: 650 }
"""


def reports_of(paths):
    lines = [line for path in paths for line in Path(path).read_text().splitlines() if line.strip()]
    return [json.loads(line) for line in lines][:len(MARKS)]


def decimal(value, unit):
    for prefix in ["", "k", "M", "G", "T"]:
        if value < 999.5 or prefix == "T":
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def chosen_step(report, context):
    return next((s for s in report["steps"] if s["context"] == context), report["steps"][0])


def peak_of(report):
    compute = report["machine"]["compute"]
    return report["peak"].get(f"{compute}_ops_per_s") or report["peak"]["f32_ops_per_s"]


def name_of(report):
    return f"{report['machine']['kernels']}, {report['machine']['compute']}"


class Svg:
    def __init__(self):
        self.out = []

    def add(self, text):
        self.out.append(text)

    def text(self, x, y, text, css="ink", anchor="start", extra=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}" {extra}>{html.escape(text)}</text>')

    def line(self, x1, y1, x2, y2, css, width=1.0, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}" stroke-width="{width}"{dash}/>')

    def mark(self, shape, x, y, colour, radius=7):
        attributes = f'fill="{colour}" class="ring" stroke-width="2"'
        if shape == "circle":
            self.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {attributes}/>')
        else:
            turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if shape == "diamond" else ""
            self.add(f'<rect x="{x - radius + 1:.1f}" y="{y - radius + 1:.1f}" width="{2 * radius - 2}" height="{2 * radius - 2}" rx="1.5" {attributes}{turn}/>')


class Plot:
    """The logarithmic axes: operations per byte and operations per second."""

    def __init__(self, points, roofs):
        xs = [p["x"] for p in points] + [peak / rate for rate, peak in roofs]
        ys = [p["y"] for p in points] + [peak for _, peak in roofs]
        self.x0, self.x1 = math.log10(min(xs) / 6), math.log10(max(xs) * 20)
        self.y0, self.y1 = math.log10(min(ys) / 2), math.log10(max(ys) * 2)

    def x(self, value):
        return LEFT + PLOT_W * (math.log10(value) - self.x0) / (self.x1 - self.x0)

    def y(self, value):
        return TOP + PLOT_H * (1 - (math.log10(value) - self.y0) / (self.y1 - self.y0))

    def ticks(self, low, high):
        return [10.0 ** e for e in range(math.ceil(low), math.floor(high) + 1)]


def points_of(reports, context):
    points = []
    for index, report in enumerate(reports):
        step = chosen_step(report, context)
        for part in PARTS:
            operations, bytes_, seconds, limit = (step[k][part] for k in ("operations", "bytes", "parts", "limit_s"))
            if min(operations, bytes_, seconds) <= 0:
                continue
            # A part's own roof: attention and the router run in another precision than the products.
            roof = operations / limit
            points.append(dict(part=part, report=index, x=operations / bytes_, y=operations / seconds, roof=roof))
    return points


def draw_axes(svg, plot):
    svg.text(LEFT, TOP - 16, "Reached, in operations a second", "soft small")
    for value in plot.ticks(plot.y0, plot.y1):
        svg.line(LEFT, plot.y(value), LEFT + PLOT_W, plot.y(value), "grid")
        svg.text(LEFT - 10, plot.y(value) + 4, decimal(value, "OP/s"), "soft small", "end")
    for value in plot.ticks(plot.x0, plot.x1):
        svg.line(plot.x(value), TOP, plot.x(value), TOP + PLOT_H, "grid")
        svg.text(plot.x(value), TOP + PLOT_H + 20, f"{value:g}", "soft small", "middle")
    svg.text(LEFT + PLOT_W / 2, TOP + PLOT_H + 42, "Operations for each byte that has to be read", "soft small", "middle")


def corners_of(plot, report):
    rate, peak = report["read_bytes_per_s"], peak_of(report)
    start = 10 ** max(plot.x0, plot.y0 - math.log10(rate))
    return [(start, rate * start), (peak / rate, peak), (10 ** plot.x1, peak)]


def draw_ground(svg, plot, reports):
    """What can be reached at all, in the colour of the ground."""
    corners = corners_of(plot, max(reports, key=peak_of))
    path = " L".join(f"{plot.x(x):.1f} {plot.y(y):.1f}" for x, y in corners)
    bottom = TOP + PLOT_H
    svg.add(f'<path d="M{path} L{LEFT + PLOT_W} {bottom} L{plot.x(corners[0][0]):.1f} {bottom} Z" class="under"/>')


def draw_read_rate(svg, plot, reports):
    """Gives places along its text, which labels must not cover."""
    report = max(reports, key=peak_of)
    (x0, y0), (x1, y1), _ = [(plot.x(x), plot.y(y)) for x, y in corners_of(plot, report)]
    x, y = (x0 + x1) / 2 - 9, (y0 + y1) / 2 - 9
    turn = f'transform="rotate({math.degrees(math.atan2(y1 - y0, x1 - x0)):.1f} {x:.1f} {y:.1f})"'
    svg.text(x, y, f"memory read, {decimal(report['read_bytes_per_s'], 'B/s')}", "ink small", "middle", turn)
    return [(x0 + (x1 - x0) * i / 16, y0 + (y1 - y0) * i / 16, 12) for i in range(17)]


def draw_roofs(svg, plot, reports):
    """One roof a report; equal ones are drawn once. Gives the heights, which labels must not cover."""
    drawn = []
    for report in sorted(reports, key=peak_of, reverse=True):
        peak = peak_of(report)
        if any(abs(math.log10(peak / p)) < 0.02 for p in drawn):
            continue
        path = " L".join(f"{plot.x(x):.1f} {plot.y(y):.1f}" for x, y in corners_of(plot, report))
        svg.add(f'<path d="M{path}" class="roof" fill="none" stroke-width="2"/>')
        compute = report["machine"]["compute"]
        label = f"{name_of(report)} peak, {decimal(peak, 'FLOP/s' if compute == 'f32' else 'OP/s')}"
        svg.text(LEFT + PLOT_W - 8, plot.y(peak) - 16, label, "ink small", "end")
        drawn.append(peak)
    return [plot.y(peak) for peak in drawn]


def draw_points(svg, plot, points, roofs, taken):
    leaders, ground = [], len(svg.out)
    for p in points:
        svg.line(plot.x(p["x"]), plot.y(p["y"]), plot.x(p["x"]), plot.y(p["roof"]), "gap", 1.2, "2 3")
    for i, p in enumerate(points):  # one that a later one would cover is larger
        x, y = plot.x(p["x"]), plot.y(p["y"])
        covered = any(math.dist((x, y), (plot.x(q["x"]), plot.y(q["y"]))) < 4 for q in points[i + 1:])
        svg.mark(MARKS[p["report"]], x, y, COLOURS[p["part"]], 11 if covered else 7)
    # Centre and half width of what labels must not cover.
    taken = taken + [(plot.x(p["x"]), plot.y(p["y"]), 9) for p in points]
    for p in sorted(points, key=lambda q: -q["y"]):
        if p["report"] > 0:  # the first report's labels name the colours
            continue
        label = f"{p['part']} {100 * p['y'] / p['roof']:.0f} %"
        half = 4.2 * len(label)
        x, y = plot.x(p["x"]), plot.y(p["y"])
        places = [(x + side * (26 + half), y + 18 * row) for row in (0, 1, 2, 3, -1, 4) for side in (1, -1)]
        places = [q for q in places if all(q[1] > roof + 10 or q[1] < roof - 26 for roof in roofs)]
        inside = [q for q in places if LEFT + 4 < q[0] - half and q[0] + half < LEFT + PLOT_W - 4]
        free = [q for q in inside if all(abs(q[0] - t[0]) > half + t[2] or abs(q[1] - t[1]) > 15 for t in taken)]
        at = (free or inside or places or [(x, y + 24)])[0]
        taken.append((at[0], at[1], half))
        side = 1 if at[0] > x else -1
        leaders.append(f'<path d="M{x:.1f} {y:.1f} L{at[0] - side * (half + 8):.1f} {at[1]:.1f} h{side * 6}" fill="none" '
                       f'stroke="{COLOURS[p["part"]]}" stroke-width="1.5"/>')
        svg.text(at[0], at[1] + 4, label, "small bold", "middle", f'fill="{COLOURS[p["part"]]}"')
    # Below the dots, so that each label's line shows which dot is its own.
    svg.out[ground:ground] = leaders


def draw_bars(svg, reports, context):
    left, y = LEFT + PLOT_W + GAP, TOP
    longest = max(chosen_step(r, context)["parts"][p] for r in reports for p in PARTS)
    name_w, room = 84, BARS_W - 84 - 96
    svg.text(left, y - 16, "Time of one step; solid: what the limit explains", "soft small")
    height = min(26, (PLOT_H - 30 * len(reports)) / (len(PARTS) * len(reports)))
    for index, report in enumerate(reports):
        step = chosen_step(report, context)
        y += 12
        svg.mark(MARKS[index], left + 7, y - 1, "#9aa2b4")
        svg.text(left + 22, y + 4, f"{name_of(report)}: {duration(step['seconds'])}, {step['percent_of_limit']['all']:.0f} % of the limit", "ink bold")
        y += 12
        for part in sorted(PARTS, key=lambda p: -step["parts"][p]):
            seconds, limit = step["parts"][part], step["limit_s"][part]
            width = max(1.5, room * seconds / longest)
            svg.text(left, y + height / 2 + 4, part, "ink")
            x, top, h = left + name_w, y + 5, height - 10
            svg.add(f'<rect x="{x}" y="{top:.1f}" width="{width:.1f}" height="{h:.1f}" rx="3" fill="{COLOURS[part]}" opacity="0.3"/>')
            solid = width * min(1.0, limit / seconds)
            svg.add(f'<rect x="{x}" y="{top:.1f}" width="{solid:.1f}" height="{h:.1f}" rx="3" fill="{COLOURS[part]}"/>')
            svg.text(x + width + 8, y + height / 2 + 4, f"{duration(seconds)}, {100 * limit / seconds:.0f} %", "soft small")
            y += height
        y += 16


def draw(reports, context, title):
    points = points_of(reports, context)
    plot = Plot(points, [(r["read_bytes_per_s"], peak_of(r)) for r in reports])
    width, height = LEFT + PLOT_W + GAP + BARS_W + MARGIN, TOP + PLOT_H + 66
    svg = Svg()
    svg.add(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">')
    svg.add(f"<title>{html.escape(title)}</title><style>{STYLE}</style>")
    svg.add(f'<rect width="{width}" height="{height}" rx="10" class="page"/>')
    first, step = reports[0], chosen_step(reports[0], context)
    svg.text(MARGIN, 38, title, "ink title")
    svg.text(MARGIN, 60, f"{first['machine']['cpu']}, {first['machine']['cores']} cores; one step of {first['model']['canvas_length']} "
             f"rows at {step['context']} tokens reads {decimal(first['weight_bytes'], 'B')} of weights", "soft")
    draw_ground(svg, plot, reports)
    draw_axes(svg, plot)
    slope = draw_read_rate(svg, plot, reports)
    roofs = draw_roofs(svg, plot, reports)
    draw_points(svg, plot, points, roofs, slope)
    draw_bars(svg, reports, context)
    svg.add("</svg>")
    return "\n".join(svg.out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="outputs of dgemma bench --json, then the SVG to write")
    parser.add_argument("--context", type=int, help="tokens before the canvas; default: the first step's")
    parser.add_argument("--title", default="A denoising step on the roofline")
    arguments = parser.parse_args()
    *inputs, output = arguments.files
    reports = reports_of(inputs)
    if not reports:
        parser.error("no reports in " + ", ".join(inputs))
    Path(output).write_text(draw(reports, arguments.context, arguments.title))


if __name__ == "__main__":
    main()
