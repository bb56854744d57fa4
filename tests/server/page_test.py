"""The page in real Chromium: types, watches drafts arrive, stops, scrubs, reloads, and tries to get markup in.

    python3 tests/server/page_test.py [--url http://127.0.0.1:8080/] [NAME ...]

Without --url it plays against page_stand_in.py, so that every scene can be staged; with it the tests marked `anywhere`
run against that service (which must not need a key). Needs Debian's chromium and the Python package playwright; without
them it says so and exits with 77, which CTest counts as skipped.
"""
import argparse
import json
import shutil
import sys
import traceback
from pathlib import Path

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    print("skipped: the Python package playwright is not installed")
    sys.exit(77)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not CHROMIUM:
    print("skipped: no chromium on this machine")
    sys.exit(77)
sys.path.insert(0, str(Path(__file__).parent))
from page_stand_in import ANSWER, StandIn  # noqa: E402

TESTS = []


def test(anywhere=False):
    def register(function):
        TESTS.append((function, anywhere))
        return function
    return register


class Reader:
    """Somebody with the page open. Errors on the page fail the test."""

    def __init__(self, browser, url, **options):
        self.url = url
        self.context = browser.new_context(viewport={"width": 1100, "height": 800}, **options)
        self.context.set_default_timeout(30000)
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)

    def ask(self, text):
        self.page.fill("#prompt", text)
        self.page.keyboard.press("Enter")

    def answered(self):
        """The last answer, once it is complete."""
        answer = self.page.locator(".answer").last
        expect(answer).to_be_attached()
        expect(answer).not_to_have_attribute("aria-busy", "true", timeout=60000)
        return answer

    def at(self, selector):
        return self.page.locator(selector)


@test(anywhere=True)
def an_answer_comes_into_focus(reader):
    reader.ask("Why is the sky blue?")
    expect(reader.at(".frame").first).to_be_attached()
    answer = reader.answered()
    expect(answer.locator(".prose").last).not_to_be_empty()
    expect(answer.locator(".margin")).to_contain_text("per forward pass")
    expect(answer.locator(".caption").first).to_contain_text("converged after")


@test()
def noise_is_seen_before_anything_is_computed(reader, service):
    reader.ask("Why is the sky blue? wait")
    expect(reader.at(".stage .canvas .t.f0")).to_have_count(64)
    assert all(reader.at(".stage .canvas .t").all_inner_texts())
    expect(reader.at(".margin")).to_contain_text("reading the prompt")
    expect(reader.at(".frame")).to_have_count(0)
    service.release.set()
    reader.answered()
    expect(reader.at(".frame")).not_to_have_count(0)


@test()
def drafts_are_seen_before_the_text_and_only_the_text_is_announced(reader, service):
    reader.ask("Why is the sky blue? hold")
    expect(reader.at(".stage .canvas .t")).to_have_count(64)
    expect(reader.at(".stage .f0").first).to_be_attached()
    expect(reader.at(".margin")).to_contain_text("step 2/48")
    assert reader.at("#announcer").inner_text() == "" and reader.at(".prose").last.inner_text() == ""
    assert reader.at(".stage .canvas").get_attribute("aria-hidden") == "true"
    service.release.set()
    reader.answered()
    expect(reader.at(".stage .canvas")).to_have_count(0)
    assert reader.at("#announcer").text_content() == ANSWER
    expect(reader.at(".prose strong")).to_have_text("short waves most of all")
    expect(reader.at("figure.code pre")).to_contain_text("sun.high")


@test(anywhere=True)
def a_reload_brings_back_the_conversation_and_its_steps(reader):
    reader.ask("Why is the sky blue?")
    text = reader.answered().locator(".prose").last.inner_text()
    frames = reader.at(".frame").count()
    reader.page.reload()
    expect(reader.at(".asked")).to_have_text("Why is the sky blue?")
    assert reader.at(".answer .prose").last.inner_text() == text
    reader.at(".exposures > summary").click()
    expect(reader.at(".frame")).to_have_count(frames)


@test()
def escape_stops_an_answer_and_the_service_sees_it(reader, service):
    reader.ask("hold")
    expect(reader.at(".frame")).to_have_count(2)
    expect(reader.at("#shutter")).to_have_attribute("aria-label", "Stop")
    reader.page.keyboard.press("Escape")
    answer = reader.answered()
    expect(answer.locator(".margin")).to_contain_text("stopped by you")
    expect(answer.locator(".caption").first).to_have_text("not finished")
    expect(reader.at("#shutter")).to_have_attribute("aria-label", "Send")
    assert service.vanished.wait(10)


@test(anywhere=True)
def the_slider_goes_through_every_step_and_back_to_the_answer(reader):
    reader.ask("Why is the sky blue?")
    answer = reader.answered()
    slider = answer.locator("input[type=range]")
    last = int(slider.get_attribute("max"))
    assert last == reader.at(".frame").count() - 1
    slider.focus()
    reader.page.keyboard.press("Home")
    expect(reader.at(".frame.chosen i")).to_have_text("1")
    expect(answer.locator(".where")).to_contain_text("step 1/")
    first = answer.locator(".stage .canvas").inner_html()  # looks too: a quick model has all its words at once
    expect(answer.locator(".prose").last).to_be_hidden()
    reader.page.keyboard.press("End")
    expect(reader.at(".frame").last).to_have_class("frame chosen")
    assert answer.locator(".stage .canvas").inner_html() != first
    reader.page.keyboard.press("Escape")
    expect(answer.locator(".prose").last).to_be_visible()
    expect(answer.locator(".stage .canvas")).to_have_count(0)


@test()
def a_row_tells_its_history_to_pointer_and_keyboard(reader):
    reader.ask("Why is the sky blue?")
    reader.answered()
    reader.at(".frame").nth(2).click()
    card = reader.at("#history")
    reader.at(".stage .canvas .t").nth(9).hover()
    expect(card).to_be_visible()
    expect(card).to_contain_text("row 10, step 3")
    expect(card.locator("polyline")).to_be_attached()
    expect(card.locator("li").last).to_contain_text("settled")
    reader.page.mouse.move(5, 5)
    expect(card).to_be_hidden()
    reader.at(".answer input[type=range]").focus()
    reader.page.keyboard.press("Shift+Tab")
    reader.page.keyboard.press("Shift+Tab")
    expect(reader.at(".stage .canvas")).to_be_focused()
    expect(card).to_contain_text("row 10, step 3")
    reader.page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("row 11, step 3")
    expect(reader.at(".stage .canvas .t").nth(10)).to_have_attribute("data-at", "")


@test()
def a_finger_on_a_row_shows_its_history_until_it_taps_elsewhere(reader):
    phone = reader.context.browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = phone.new_page()
    page.goto(reader.url)
    page.fill("#prompt", "short")
    page.keyboard.press("Enter")
    expect(page.locator(".scrubber")).to_be_visible()
    page.locator(".frame").nth(1).tap()
    page.locator(".stage .canvas .t").first.tap()
    expect(page.locator("#history")).to_contain_text("row 1, step 2")
    page.locator("#prompt").tap()
    expect(page.locator("#history")).to_be_hidden()
    phone.close()


@test()
def a_board_has_its_columns_in_the_question_the_canvas_and_the_answer(reader):
    reader.ask("The board:\n3.6251\n512.63\n65314.")
    answer = reader.answered()
    expect(reader.at(".asked .grid")).to_have_text("3.6251\n512.63\n65314.")
    expect(answer.locator(".prose .grid")).to_contain_text("346251")
    reader.at(".frame").last.click()
    expect(answer.locator(".stage .canvas")).to_have_class("canvas board")


@test()
def text_of_the_model_is_never_markup(reader):
    reader.ask("tags")
    answer = reader.answered()
    for frame in range(3):
        reader.at(".frame").nth(frame).click()
    reader.at(".stage .canvas .t").nth(1).hover()
    reader.page.keyboard.press("Escape")
    reader.page.reload()
    expect(answer.locator(".prose").last).to_contain_text("<img src=x onerror=")
    expect(answer.locator(".prose strong")).to_have_text("<b>bold</b>")
    for tag in ("script", "img", "b", "a[href^=javascript]"):
        assert answer.locator(f".prose {tag}").count() == 0, tag
    assert reader.page.evaluate("() => window.hacked") is None


@test()
def retry_replaces_the_answer_and_edit_replaces_the_question(reader, service):
    reader.ask("short one")
    reader.answered()
    reader.at("[aria-label='Retry this answer']").click()
    reader.answered()
    expect(reader.at(".answer")).to_have_count(1)
    assert len(service.requests) == 2
    reader.ask("and a short second")
    reader.answered()
    reader.at("[aria-label='Edit this question']").first.click()
    expect(reader.at(".rewrite")).to_be_focused()
    reader.at(".rewrite").fill("short, but different")
    reader.page.keyboard.press("Enter")
    reader.answered()
    expect(reader.at(".asked")).to_have_text(["short, but different"])
    assert json.loads(service.requests[-1])["messages"] == [{"role": "user", "content": "short, but different"}]


@test()
def what_went_wrong_is_said_where_the_answer_would_be(reader):
    for question, words in (("busy", "try again in 3 s"), ("fail", "Out of memory in step 3."), ("break", "broke off")):
        reader.ask(question)
        expect(reader.answered().locator(".trouble")).to_contain_text(words)
    reader.ask("short")
    expect(reader.answered().locator(".prose").last).to_have_text("Yes.")


@test()
def knobs_go_into_the_request_and_a_seed_keeps_all_its_digits(reader, service):
    reader.at("#open-settings").click()
    expect(reader.at("#knob-t_max")).to_have_attribute("placeholder", "0.8")
    reader.at("#knob-seed").fill("18446744073709551615")
    reader.at("#knob-max_denoising_steps").fill("12")
    reader.at("#knob-t_max").fill("much")
    expect(reader.at("#knob-t_max-hint")).to_contain_text("not used")
    reader.at("#knob-system").fill("Be brief.")
    reader.at("#knob-thinking").check()
    reader.page.keyboard.press("Escape")
    reader.ask("short")
    answer = reader.answered()
    assert '"seed":18446744073709551615' in service.requests[-1]
    body = json.loads(service.requests[-1])
    assert body["diffusion"] == {"drafts": True, "max_denoising_steps": 12}
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    expect(answer.locator(".margin")).to_contain_text("seed 18446744073709551615")
    expect(answer.locator(".reasoning summary")).to_be_visible()


@test()
def conversations_are_kept_apart_and_can_be_deleted(reader):
    reader.page.on("dialog", lambda dialog: dialog.accept())
    reader.ask("the short first")
    reader.answered()
    reader.at("#new").click()
    reader.ask("the short second")
    reader.answered()
    expect(reader.at("#conversations a")).to_have_text(["the short second", "the short first"])
    reader.at("#conversations a").last.click()
    expect(reader.at(".asked")).to_have_text("the short first")
    reader.page.go_back()
    expect(reader.at(".asked")).to_have_text("the short second")
    reader.at("#conversations .remove").first.click(force=True)
    expect(reader.at("#conversations a")).to_have_text(["the short first"])
    expect(reader.at("#welcome")).to_be_visible()


@test()
def the_link_past_the_list_leads_to_the_prompt(reader):
    reader.ask("short")
    reader.answered()
    reader.at(".skip").focus()
    reader.page.keyboard.press("Enter")
    expect(reader.at("#prompt")).to_be_focused()
    expect(reader.at(".asked")).to_have_text("short")


@test()
def damaged_records_are_left_out_and_said(reader):
    reader.ask("short")
    reader.answered()
    reader.page.evaluate("""() => new Promise((done) => {
      const request = indexedDB.open('dgemma');
      request.onsuccess = () => {
        const change = request.result.transaction(['conversations', 'traces'], 'readwrite');
        change.objectStore('conversations').put({id: 'bad', title: 7, messages: 'none'});
        const traces = change.objectStore('traces');
        traces.getAll().onsuccess = ({target}) => traces.put({...target.result[0], texts: null});
        change.oncomplete = done;
      };
    })""")
    reader.page.evaluate("() => localStorage.setItem('dgemma.settings', '{not json')")
    reader.page.reload()
    expect(reader.at("#conversations a")).to_have_text(["short"])
    expect(reader.at("#model")).to_have_text("stand-in")
    expect(reader.at("#notice")).to_contain_text("1 kept conversation(s) could not be read")
    reader.at(".exposures > summary").click()
    expect(reader.at(".exposures")).to_contain_text("not kept any more")


@test()
def a_browser_that_keeps_nothing_still_answers_and_says_so(reader):
    for damage, words in (("Object.defineProperty(window, 'indexedDB', {get() { throw new Error('denied'); }})", "until it is closed"),
                          ("IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); }",
                           "would not keep this")):
        page = reader.context.new_page()
        page.add_init_script(damage)
        page.goto(reader.url)
        page.fill("#prompt", "short")
        page.keyboard.press("Enter")
        expect(page.locator(".answer .prose").last).to_have_text("Yes.")
        expect(page.locator("#notice")).to_contain_text(words)
        page.close()


@test()
def a_model_that_is_being_loaded_is_waited_for(reader, service):
    service.loading.set()
    reader.page.reload()
    expect(reader.at("#notice")).to_contain_text("being loaded")
    service.loading.clear()
    expect(reader.at("#model")).to_have_text("stand-in")
    expect(reader.at("#notice")).to_be_hidden()


@test()
def the_theme_is_kept_and_the_frames_follow_it(reader):
    reader.ask("short")
    reader.answered()
    pixel = """() => [...document.querySelector('.frame canvas').getContext('2d').getImageData(0, 0, 1, 1).data].join()"""
    before = reader.page.evaluate(pixel)
    reader.at("#theme").click()
    assert reader.page.evaluate(pixel) != before
    theme = reader.at("html").get_attribute("data-theme")
    reader.page.reload()
    expect(reader.at("html")).to_have_attribute("data-theme", theme)


@test()
def a_phone_scrolls_in_one_direction_and_its_list_is_a_drawer(reader):
    reader.page.set_viewport_size({"width": 360, "height": 740})
    reader.ask("Why is the sky blue?")
    reader.answered()
    reader.at(".frame").nth(1).click()
    reader.page.keyboard.press("ArrowRight")
    expect(reader.at(".frame").nth(2)).to_have_class("frame chosen")
    assert reader.page.evaluate("() => document.scrollingElement.scrollWidth") <= 360
    assert reader.page.evaluate("() => document.getElementById('scroller').scrollWidth") <= 360
    reader.at("#open-rail").press("Enter")
    expect(reader.at("#new")).to_be_focused()
    reader.page.keyboard.press("Escape")
    expect(reader.at("#new")).to_be_hidden()
    expect(reader.at("#open-rail")).to_be_focused()


@test()
def who_wants_stillness_gets_it(reader):
    reader.page.emulate_media(reduced_motion="reduce")
    reader.page.reload()
    expect(reader.at("#headline .t").first).to_have_class("t f6")
    assert reader.at(".headline .f6").count() == reader.at(".headline .t").count()
    moving = "() => document.getAnimations().length"
    reader.ask("hold")
    expect(reader.at(".frame")).to_have_count(2)
    assert reader.page.evaluate(moving) == 0


@test()
def a_key_is_asked_for_once_and_kept_for_the_tab(reader, service):
    service.key = "sesame"
    reader.page.reload()
    dialog = reader.at("#ask-key")
    for key in ("wrong", "sesame"):
        expect(dialog).to_be_visible()
        reader.at("#key").fill(key)
        reader.page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    reader.ask("short")
    expect(reader.answered().locator(".prose").last).to_have_text("Yes.")
    reader.page.reload()
    expect(reader.at("#model")).to_have_text("stand-in")
    expect(dialog).to_be_hidden()


def run(name, body):
    try:
        body()
        print(f"ok      {name}", flush=True)
        return True
    except Exception:
        traceback.print_exc()
        print(f"FAILED  {name}", flush=True)
        return False


def play(browser, function, url):
    """Each test has a service and a browser profile of its own."""
    service = None if url else StandIn().start()
    reader = Reader(browser, url or service.url)
    try:
        function(reader, service) if function.__code__.co_argcount == 2 else function(reader)
        assert not reader.errors, reader.errors
    finally:
        reader.context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a running service; default: the stand-in")
    parser.add_argument("names", nargs="*", help="only tests with one of these in their name")
    options = parser.parse_args()
    tests = [test for test in TESTS if not options.names or any(name in test[0].__name__ for name in options.names)]
    results = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for function, anywhere in tests:
            if anywhere or not options.url:
                results.append(run(function.__name__, lambda: play(browser, function, options.url)))
        browser.close()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
