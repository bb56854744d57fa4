#!/usr/bin/env python3
"""Frames of the page while canvases of 256 tokens develop beside the engine that makes them.

    bench/page_bench.py build/dgemma models/pocket [--answers 8] [--threads 1] [--page FOLDER] [--trace]

Starts `dgemma serve` with a copy of the model whose canvas is 256, asks in headless Chromium, all answers in one
conversation, and counts animation frames from the first draft to the end of each answer, and the processor's time that
all of Chromium took meanwhile. --page takes the page's files
from a folder instead of the program, to compare two of them. --trace says also what the page's threads did in that time, from Chromium's own trace, which costs some frames itself. Needs Playwright
(PyPI) and Debian's chromium; frames need idle cores.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

CANVAS, STEPS = 256, 48
LATE_MS = 25  # a frame that missed its turn
QUESTION = "What is a canvas?"
# Never converges, so that every answer takes all steps: of one canvas.
SETTINGS = {"max_denoising_steps": str(STEPS), "stability_threshold": "10000", "max_tokens": str(CANVAS), "seed": "7"}
CATEGORIES = ["devtools.timeline", "toplevel", "disabled-by-default-devtools.timeline", "cc", "viz", "gpu"]
WATCH = """
() => {
  window.times = [];
  const frame = (now) => {
    const answer = document.querySelector('.answer.live');
    if (answer?.querySelector('.frame')) window.times.push(now);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
"""


def wide_model(model, folder):
    """The model with a canvas of 256 tokens: everything but its config is a link."""
    for file in Path(model).resolve().iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((folder / "config.json").read_text())
    config["canvas_length"] = CANVAS
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


class Service:
    def __init__(self, program, model, threads):
        command = [program, "serve", "-m", model, "-t", str(threads), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r":(\d+)\s*$", self.process.stdout.readline()).group(1))

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


class Tracing:
    """Chromium's trace of what its threads do."""

    def __init__(self, browser):
        self.events = []
        self.session = browser.new_browser_cdp_session()
        self.session.on("Tracing.dataCollected", lambda got: self.events.extend(got["value"]))
        self.session.on("Tracing.tracingComplete", lambda _: setattr(self, "complete", True))
        self.complete = False
        self.session.send("Tracing.start", {"traceConfig": {"includedCategories": CATEGORIES}})

    def stop(self, page):
        self.session.send("Tracing.end")
        while not self.complete:
            page.wait_for_timeout(50)
        return self.events


def processor_seconds(without):
    """User and system time of this process's descendants but one."""
    parents, seconds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended
            continue
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours and pid not in ours | {without}}:
        ours |= more
    return sum(seconds[pid] for pid in ours - {os.getpid()})


def by_thread(events):
    """{thread: {what: ms of its own}}: what an event takes less what the events inside it take."""
    names = {}
    for event in events:
        if event["name"] == "thread_name":
            names[(event["pid"], event["tid"])] = event["args"]["name"]
    spans = defaultdict(list)
    for event in events:
        if event.get("ph") == "X" and event.get("dur", 0) > 0:
            spans[(event["pid"], event["tid"])].append((event["ts"], -event["dur"], event["name"]))
    totals = defaultdict(lambda: defaultdict(float))
    for thread, list_of in spans.items():
        own = totals[names.get(thread, "?")]
        stack = []  # [(end, name)]
        for start, minus, name in sorted(list_of):
            while stack and stack[-1][0] <= start:
                stack.pop()
            if stack:
                own[stack[-1][1]] += minus / 1e3
            own[name] += -minus / 1e3
            stack.append((start - minus, name))
    return totals


def ask(page, service):
    """Asks once; times of the frames in ms, and ms of the processor for each."""
    page.evaluate("window.times = []")
    page.fill("#prompt", QUESTION)
    page.press("#prompt", "Enter")
    page.wait_for_selector(".answer.live .frame", timeout=60_000)
    before = processor_seconds(service.process.pid)
    page.wait_for_selector(".answer.live", state="detached", timeout=120_000)
    spent = processor_seconds(service.process.pid) - before
    page.wait_for_timeout(1000)  # what the answer leaves to do is not the next one's
    times = page.evaluate("window.times")
    return times, 1000 * spent / len(times)


def describe(name, times, spent):
    gaps = [b - a for a, b in zip(times, times[1:])]
    rate = 1000 * len(gaps) / (times[-1] - times[0])
    late = sum(gap > LATE_MS for gap in gaps)
    print(f"{name}: {rate:.1f} frames/s, median {statistics.median(gaps):.1f} ms, longest {max(gaps):.1f}, "
          f"{late} of {len(gaps)} late, {spent:.1f} ms of processor a frame", flush=True)
    return rate


def describe_threads(events, frames):
    for thread, own in sorted(by_thread(events).items(), key=lambda item: -sum(item[1].values())):
        total = sum(own.values())
        if total / frames < 0.2:
            continue
        most = sorted(own.items(), key=lambda item: -item[1])[:14]
        print(f"  {thread}: {total / frames:.2f} ms a frame")
        print("    " + ", ".join(f"{name} {ms / frames:.2f}" for name, ms in most if ms / frames >= 0.02))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--answers", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright  # not needed for --help

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        service = Service(options.program, wide_model(options.model, Path(folder)), options.threads)
        try:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
            page.add_init_script(f"localStorage.setItem('dgemma.settings', {json.dumps(json.dumps(SETTINGS))})")
            if options.page:
                page.route(re.compile(r"\.(mjs|css|js)$"), lambda route: route.fulfill(
                    path=options.page / Path(route.request.url).name, headers={"Cache-Control": "no-store"}))
            page.goto(f"http://127.0.0.1:{service.port}/")
            page.wait_for_selector("#samples button", timeout=60_000)
            page.evaluate(WATCH)
            rates, costs = [], []
            for answer in range(options.answers):
                tracing = Tracing(browser) if options.trace else None
                times, spent = ask(page, service)
                rates.append(describe(f"answer {answer + 1}", times, spent))
                costs.append(spent)
                if tracing:
                    describe_threads(tracing.stop(page), len(times))
            print(f"all: median {statistics.median(rates):.1f} frames/s, least {min(rates):.1f}, "
                  f"{statistics.median(costs):.1f} ms of processor a frame")
            browser.close()
        finally:
            service.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
