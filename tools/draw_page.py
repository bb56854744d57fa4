#!/usr/bin/env python3
"""Takes the picture of the web page: an answer gone back to one of its steps, the dark theme and the light one in one.

    /usr/bin/python3 tools/draw_page.py docs/page.png build/dgemma models/pocket

A service of its own answers a Sudoku in headless Chromium (tests/server/page_browser.py), the slider goes to the step,
and Chromium lays the two themes over each other along a slanted line. Needs what the page's tests need. Used for the
picture in docs/PAGE.md.
"""
import argparse
import base64
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/server"))
from page_browser import Reader, start  # noqa: E402

QUESTION = "Solve this Sudoku:\n.....4\n.2....\n..5.1.\n......\n..1.6.\n4....."
WIDTH, HEIGHT = 1280, 880
BOTH = """document.body.style.margin = 0;
for (const [picture, clip] of [[arguments[0], 'none'], [arguments[1], 'polygon(60% 0, 100% 0, 100% 100%, 40% 100%)']]) {
  const image = document.body.appendChild(new Image());
  image.src = `data:image/png;base64,${picture}`;
  image.style = `position: absolute; left: 0; top: 0; clip-path: ${clip}`;
}"""


def screen(reader):
    return reader.browser_says("Page.captureScreenshot", format="png")["data"]


def show(reader, theme):
    reader.browser_says("Emulation.setEmulatedMedia", features=[
        {"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}])
    reader.browser_says("Emulation.setScrollbarsHidden", hidden=True)


def ask(reader, seed, step):
    reader.at("#open-settings").click()
    reader.at("#knob-seed").fill(str(seed))
    reader.press("ESCAPE")
    reader.ask(QUESTION)
    reader.answered()
    reader.at(".frame").nth(step - 1).click()
    # Without a pointer, as here, the page shows what others see when they point at it.
    reader.run("for (const word of document.querySelectorAll('.question .actions, .remove')) word.style.opacity = 0")
    reader.run("document.activeElement.blur(); document.getElementById('scroller').scrollTop = 0")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=int, default=7)
    options = parser.parse_args()
    service = subprocess.Popen([options.program, "serve", "-m", options.model, "--port", "0"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    driver = start()
    try:
        with Reader(driver, service.stdout.readline().split()[-1] + "/", width=WIDTH, height=HEIGHT) as reader:
            show(reader, "dark")
            ask(reader, options.seed, options.step)
            dark = screen(reader)
            show(reader, "light")
            light = screen(reader)
        with Reader(driver, "about:blank", width=WIDTH, height=HEIGHT) as reader:
            reader.run(BOTH, dark, light)
            reader.at("img").becomes("parts.length === 2 && parts.every((each) => each.complete)")
            options.output.write_bytes(base64.b64decode(screen(reader)))
    finally:
        driver.quit()
        service.terminate()


if __name__ == "__main__":
    main()
