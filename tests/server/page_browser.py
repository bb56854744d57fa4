"""Headless Chromium as the page's tests use it: a Reader is somebody with the page open, a Part is what a selector finds.

Nothing waits for a time: what has to come true is looked at again and again (`eventually`), each look is one script
that finds and reads at once, so no element can go stale in between, and an action is tried again until the element
takes it. Debian's chromium-driver and python3-selenium; where they are missing or Chromium does not start, Unavailable
says why. Tests of it are those that use it: page_test.py.
"""
import shutil
import time

PATIENCE = 120  # seconds, for a condition on a busy machine; a working page needs a hundredth of it
LOOK = 0.05


class Unavailable(Exception):
    """There is no browser to test with, and why."""


def start():
    """A Chromium that can run as root, in a container, and without a display."""
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        raise Unavailable("the Python package selenium (Debian: python3-selenium) is not installed") from None
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not chromium or not driver:
        raise Unavailable("chromium and chromedriver (Debian: chromium, chromium-driver) are not both installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
                     "--disable-background-networking", "--disable-component-update"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.ignore_local_proxy_environment_variables()
    try:
        return webdriver.Chrome(service=Service(driver), options=options)
    except (WebDriverException, OSError) as error:
        raise Unavailable("Chromium does not start: " + str(error).strip().splitlines()[0]) from None


def eventually(look, *, otherwise):
    """Looks until `look()` is true; after PATIENCE it fails with the words that `otherwise` says or makes."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise() if callable(otherwise) else otherwise)
        time.sleep(LOOK)


def plain(text):
    """Words with one space in between, as a reader sees them."""
    return " ".join(text.split())


class Part:
    """The elements of a selector, or one of them (`first`, `last`, `nth`), or what lies within (`at`)."""

    FIND = """const find = (steps) => steps.reduce((roots, step) => {
      if (typeof step === 'number') return roots.slice(step, step === -1 ? undefined : step + 1);
      return roots.flatMap((root) => [...root.querySelectorAll(step)]);
    }, [document]);
    const parts = find(arguments[0]), more = arguments[1], part = parts[0];"""
    SHOWN = "part.checkVisibility({visibilityProperty: true}) && part.getClientRects().length > 0"

    def __init__(self, reader, steps):
        self.reader, self.steps = reader, steps

    def at(self, selector):
        return Part(self.reader, [*self.steps, selector])

    def nth(self, index):
        return Part(self.reader, [*self.steps, index])

    @property
    def first(self):
        return self.nth(0)

    @property
    def last(self):
        return self.nth(-1)

    # What it is now ---------------------------------------------------------------------------------------------
    def look(self, expression, more=None):
        """The expression's value: `part` is the first element, `parts` are all of them."""
        return self.reader.run(f"{self.FIND} return {expression};", self.steps, more)

    def count(self):
        return self.look("parts.length")

    def texts(self):
        return [plain(text) for text in self.look("parts.map((each) => each.textContent)")]

    def text(self):
        return plain(self.look("part.innerText"))

    def attribute(self, name):
        return self.look("part?.getAttribute(more) ?? null", name)

    # What it has to become --------------------------------------------------------------------------------------
    def becomes(self, expression, more=None):
        eventually(lambda: self.look(expression, more),
                   otherwise=lambda: f"{self.steps}: never {expression} with {more!r}; the texts are {self.texts()!r}")

    def has_count(self, count):
        self.becomes("parts.length === more", count)

    def exists(self):
        self.becomes("parts.length > 0")

    def contains(self, words):
        self.becomes("part?.textContent.includes(more)", words)

    def has_text(self, text):
        self.becomes("part?.textContent.trim() === more", text)

    def has_texts(self, texts):
        self.becomes("JSON.stringify(parts.map((each) => each.textContent.trim())) === JSON.stringify(more)", texts)

    def has_attribute(self, name, value):
        self.becomes("part?.getAttribute(more[0]) === more[1]", [name, value])

    def has_focus(self):
        self.becomes("part && part === document.activeElement")

    def is_shown(self):
        self.becomes(f"part && {self.SHOWN}")

    def is_hidden(self):
        self.becomes(f"!part || !({self.SHOWN})")

    # What a reader does with it ---------------------------------------------------------------------------------
    def act(self, action):
        """Calls action(element) until the element is there and takes it."""
        from selenium.common.exceptions import WebDriverException
        trouble = []

        def done():
            element = self.look("part ?? null")
            if element is None:
                return False
            try:
                action(element)
                return True
            except WebDriverException as error:  # covered, moving, or gone again
                trouble.append(error.msg)
                return False
        eventually(done, otherwise=lambda: f"{self.steps}: cannot be used: {trouble[-1:]}")

    def click(self):
        self.act(lambda element: element.click())

    def hover(self):
        self.act(lambda element: self.reader.actions().move_to_element(element).perform())

    def focus(self):
        self.exists()
        self.look("part.focus()")

    def press(self, *keys):
        self.focus()
        self.reader.press(*keys)

    def fill(self, text):
        """Types over what stands in a field. Shift + Enter breaks a line."""
        from selenium.webdriver.common.keys import Keys

        def type_in(element):
            element.clear()
            element.send_keys(text.replace("\n", Keys.SHIFT + Keys.ENTER + Keys.NULL))
        self.act(type_in)

    def tap(self):
        """A finger, where Reader has one."""
        self.exists()
        self.look("part.scrollIntoView({block: 'nearest'})")
        x, y = self.look("[part.getBoundingClientRect()].flatMap((r) => [r.x + r.width / 2, r.y + r.height / 2])")
        self.reader.browser_says("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.reader.browser_says("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


class Reader:
    """A tab of its own. `script` runs before the page's own scripts; `finger`: a touch screen."""

    def __init__(self, driver, url, script="", width=1100, height=800, finger=False):
        self.driver, self.url = driver, url
        self.before = driver.current_window_handle
        driver.switch_to.new_window("tab")
        self.tab = driver.current_window_handle
        self.resize(width, height)
        self.finger = finger
        if finger:
            self.browser_says("Emulation.setTouchEmulationEnabled", enabled=True)
        if script:
            self.browser_says("Page.addScriptToEvaluateOnNewDocument", source=script)
        driver.get(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.turn_to()
        self.driver.close()
        self.driver.switch_to.window(self.before)

    def turn_to(self):
        """Looks at this tab, where there are several."""
        self.driver.switch_to.window(self.tab)
        return self

    def errors(self):
        """Exceptions that no script of the page caught, since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["source"] == "javascript"]

    def at(self, selector):
        return Part(self, [selector])

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def run_until_done(self, script):
        """A script that calls done(), with what it found, when it has finished."""
        self.driver.set_script_timeout(PATIENCE)
        return self.driver.execute_async_script(f"const done = arguments[0]; {script}")

    def browser_says(self, command, **parameters):
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def resize(self, width, height):
        self.browser_says("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                          mobile=False)

    def actions(self):
        from selenium.webdriver import ActionChains
        return ActionChains(self.driver, duration=0)

    def press(self, *keys):
        """Keys by their names in selenium's Keys; several are held together."""
        from selenium.webdriver.common.keys import Keys
        codes = [getattr(Keys, key) for key in keys]
        chain = self.actions()
        for code in codes[:-1]:
            chain.key_down(code)
        chain.send_keys(codes[-1])
        for code in codes[:-1]:
            chain.key_up(code)
        chain.perform()

    def point_at(self, x, y):
        chain = self.actions()
        chain.w3c_actions.pointer_action.move_to_location(x, y)
        chain.perform()

    def accept(self):
        """Says yes to the dialog that the page has opened."""
        self._close_dialog(lambda dialog: dialog.accept())

    def refuse(self):
        """Says no to it."""
        self._close_dialog(lambda dialog: dialog.dismiss())

    def _close_dialog(self, close):
        from selenium.common.exceptions import NoAlertPresentException

        def closed():
            try:
                close(self.driver.switch_to.alert)
                return True
            except NoAlertPresentException:
                return False
        eventually(closed, otherwise="no dialog was opened")

    def reload(self):
        self.driver.refresh()

    # The page -------------------------------------------------------------------------------------------------------
    def ask(self, text):
        self.at("#prompt").fill(text)
        if self.finger:
            self.at("#shutter").tap()
        else:
            self.at("#prompt").press("ENTER")

    def answered(self):
        """The last answer, once it is complete."""
        answer = self.at(".answer").last
        answer.becomes("part && part.getAttribute('aria-busy') !== 'true'")
        return answer
