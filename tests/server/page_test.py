"""The page in real Chromium: types, watches drafts arrive, stops, scrubs, reloads, and tries to get markup in.

    /usr/bin/python3 tests/server/page_test.py [--service PROGRAM MODEL] [NAME ...]

Plays against page_stand_in.py, so that every scene can be staged; with --service the tests marked `anywhere`, and those
for the real one only, run against `dgemma serve` with the pocket model. Each test has a service of its own, so a
browser storage of its own. Where there is no browser (page_browser.py) it says so and exits with 77, which CTest counts
as skipped.
"""
import argparse
import json
import subprocess
import sys
import traceback
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from page_browser import PATIENCE, Reader, Unavailable, eventually, start  # noqa: E402
from page_stand_in import ANSWER, StandIn  # noqa: E402

TESTS = []
ANYWHERE, STAND_IN, REAL = {"stand-in", "real"}, {"stand-in"}, {"real"}


def read(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return response.read().decode()


def test(where=STAND_IN):
    def register(function):
        TESTS.append((function, where))
        return function
    return register


def kept(reader):
    """What the browser keeps: titles of conversations, and how many traces."""
    return reader.run_until_done("""
      const request = indexedDB.open('dgemma');
      request.onsuccess = () => {
        const look = request.result.transaction(['conversations', 'traces']);
        const titles = look.objectStore('conversations').getAll(), traces = look.objectStore('traces').count();
        look.oncomplete = () => done([titles.result.map(({title}) => title).sort(), traces.result]);
      };""")


def kept_text(reader):
    """All that is kept of the answers' texts."""
    return reader.run_until_done("""
      const request = indexedDB.open('dgemma');
      request.onsuccess = () => {
        request.result.transaction('conversations').objectStore('conversations').getAll().onsuccess = ({target}) =>
          done(target.result.flatMap(({messages}) => messages).map(({role, content}) =>
            role === 'assistant' ? content : '').join('\\n'));
      };""")


@test(ANYWHERE)
def an_answer_comes_into_focus(reader):
    reader.ask("Why is the sky blue?")
    reader.at(".frame").first.exists()
    answer = reader.answered()
    answer.at(".prose").last.becomes("part?.textContent.trim()")
    answer.at(".margin").contains("per forward pass")
    answer.at(".caption").first.contains("converged after")
    answer.at(".legend span").has_texts(["noise", "draft", "accepted", "settled", "padding"])


@test()
def noise_is_seen_before_anything_is_computed(reader, service):
    reader.ask("Why is the sky blue? wait")
    reader.at(".stage .canvas .t.f0").has_count(64)
    assert all(reader.at(".stage .canvas .t").look("parts.map((each) => each.innerText)"))
    reader.at(".margin").contains("reading the prompt")
    reader.at(".frame").has_count(0)
    service.release.set()
    reader.answered()
    reader.at(".frame").exists()


@test()
def drafts_are_seen_before_the_text_and_only_the_text_is_announced(reader, service):
    reader.ask("Why is the sky blue? hold")
    reader.at(".stage .canvas .t").has_count(64)
    reader.at(".stage .f0").first.exists()
    reader.at(".margin").contains("step 2/48")
    assert reader.at("#announcer").text() == "" and reader.at(".prose").last.text() == ""
    assert reader.at(".stage .canvas").attribute("aria-hidden") == "true"
    service.release.set()
    reader.answered()
    reader.at(".stage .canvas").has_count(0)
    reader.at("#announcer").becomes("part.textContent === more", ANSWER)
    reader.at(".prose strong").has_text("short waves most of all")
    reader.at("figure.code pre").contains("sun.high")


@test(ANYWHERE)
def a_reload_brings_back_the_conversation_and_its_steps(reader):
    reader.ask("Why is the sky blue?")
    text = reader.answered().at(".prose").last.text()
    frames = reader.at(".frame").count()
    reader.reload()
    reader.at(".asked").has_text("Why is the sky blue?")
    assert reader.at(".answer .prose").last.text() == text
    reader.at(".exposures > summary").click()
    reader.at(".frame").has_count(frames)


@test()
def a_reload_in_the_middle_of_an_answer_keeps_what_was_final(reader, service):
    reader.ask("to the second canvas")
    reader.at(".margin").contains("canvas 2")
    reader.at(".answer .prose").last.contains("Light is scattered")
    text = reader.at(".answer .prose").last.text()
    eventually(lambda: text[:20] in kept_text(reader), otherwise="what was committed is not kept")
    reader.reload()
    reader.at(".answer .prose").last.contains("Light is scattered")
    assert reader.at(".answer .prose").last.text() == text
    reader.at(".answer .trouble").has_text("Broken off when the page was closed.")
    reader.at("[aria-label='Retry this answer']").is_shown()
    service.release.set()
    reader.at("[aria-label='Retry this answer']").click()
    reader.answered().at(".prose strong").has_text("short waves most of all")
    reader.at(".answer .trouble").is_hidden()


@test(REAL)
def a_long_answer_is_stopped_and_its_place_is_free_again(reader):
    reader.at("#open-settings").click()
    for knob, value in (("max_denoising_steps", 1000), ("confidence_threshold", 0), ("max_tokens", 1000)):
        reader.at(f"#knob-{knob}").fill(str(value))
    reader.press("ESCAPE")
    reader.ask("Who are you?")
    reader.at(".stage .canvas .t").exists()
    reader.at(".frame").exists()
    reader.at("#shutter").click()
    reader.answered().at(".margin").contains("stopped by you")
    reader.at(".answer .caption").first.has_text("not finished")
    eventually(lambda: "dgemma_sessions_active 0\n" in read(reader.url + "metrics"), otherwise="the place is taken")


@test()
def escape_stops_an_answer_and_the_service_sees_it(reader, service):
    reader.ask("hold")
    reader.at(".frame").has_count(2)
    reader.at("#shutter").has_attribute("aria-label", "Stop")
    reader.press("ESCAPE")
    answer = reader.answered()
    answer.at(".margin").contains("stopped by you")
    answer.at(".caption").first.has_text("not finished")
    reader.at("#shutter").has_attribute("aria-label", "Send")
    assert service.vanished.wait(PATIENCE)


@test(ANYWHERE)
def the_slider_goes_through_every_step_and_back_to_the_answer(reader):
    reader.ask("Why is the sky blue?")
    answer = reader.answered()
    slider = answer.at("input[type=range]")
    last = int(slider.attribute("max"))
    assert last == reader.at(".frame").count() - 1
    slider.focus()
    reader.press("HOME")
    reader.at(".frame.chosen i").has_text("1")
    answer.at(".where").contains("step 1/")
    first = answer.at(".stage .canvas").look("part.innerHTML")  # looks too: a quick model has all its words at once
    answer.at(".prose").last.is_hidden()
    reader.press("END")
    reader.at(".frame").last.has_attribute("class", "frame chosen")
    assert answer.at(".stage .canvas").look("part.innerHTML") != first
    reader.press("ESCAPE")
    answer.at(".prose").last.is_shown()
    answer.at(".stage .canvas").has_count(0)


@test()
def the_text_stays_in_view_however_many_frames_lie_below_it(reader, service):
    reader.resize(360, 520)
    view = "const s = document.getElementById('scroller').getBoundingClientRect();"
    reader.ask("to the second canvas")
    reader.at(".margin").contains("canvas 2")
    reader.at(".stage .canvas").becomes("part && part.getBoundingClientRect().bottom > 200")
    reader.at(".roll").first.is_hidden()
    reader.at(".roll").last.is_shown()
    service.release.set()
    answer = reader.answered()
    answer.at(".roll").first.is_shown()
    text = answer.at(".stage").look("part.getBoundingClientRect().bottom")
    top, bottom = reader.run(view + "return [s.top, s.bottom]")
    # 40: a font that comes late moves the lines a little.
    assert (top + bottom) / 2 - 40 <= text <= bottom, (top, text, bottom)


@test()
def a_question_asked_from_a_step_of_the_last_answer_goes_back_to_its_text(reader):
    reader.ask("short")
    reader.answered()
    reader.at(".frame").first.click()
    reader.at(".scrubbing").exists()
    reader.ask("another short one")
    reader.answered()
    reader.at(".scrubbing").has_count(0)
    reader.at("#prompt").has_focus()


@test()
def a_row_tells_its_history_to_pointer_and_keyboard(reader):
    reader.ask("Why is the sky blue?")
    reader.answered()
    reader.at(".frame").nth(2).click()
    card = reader.at("#history")
    reader.at(".stage .canvas .t").nth(9).hover()
    card.is_shown()
    card.contains("row 10, step 3")
    card.at("polyline").exists()
    card.at("li").last.contains("settled")
    reader.point_at(5, 5)
    card.is_hidden()
    reader.at(".answer input[type=range]").focus()
    reader.press("SHIFT", "TAB")
    reader.press("SHIFT", "TAB")
    reader.at(".stage .canvas").has_focus()
    card.contains("row 10, step 3")
    reader.press("ARROW_RIGHT")
    card.contains("row 11, step 3")
    reader.at(".stage .canvas .t").nth(10).has_attribute("data-at", "")


@test()
def a_finger_on_a_row_shows_its_history_until_it_taps_elsewhere(reader):
    with Reader(reader.driver, reader.url, width=360, height=740, finger=True) as phone:
        phone.ask("short")
        phone.at(".scrubber").is_shown()
        phone.at(".frame").nth(1).tap()
        phone.at(".stage .canvas .t").first.tap()
        phone.at("#history").contains("row 1, step 2")
        phone.at("#prompt").tap()
        phone.at("#history").is_hidden()


@test()
def where_a_finger_types_enter_breaks_the_line_and_the_button_sends(reader):
    with Reader(reader.driver, reader.url, width=360, height=740, finger=True) as phone:
        phone.at("#prompt").fill("short")
        phone.at("#prompt").press("ENTER")
        phone.at("#prompt").becomes("part.value === 'short\\n'")
        phone.at("#shutter").tap()
        phone.answered().at(".prose").last.has_text("Yes.")


@test()
def a_finger_sees_how_to_delete_a_conversation_on_a_wide_screen_too(reader):
    with Reader(reader.driver, reader.url, width=1024, height=768, finger=True) as tablet:
        assert tablet.run("return matchMedia('(hover: none)').matches")
        tablet.ask("short")
        tablet.answered()
        tablet.at("#conversations .remove").becomes("getComputedStyle(part).opacity === '1'")


@test()
def a_board_has_its_columns_in_the_question_the_canvas_and_the_answer(reader):
    reader.ask("The board:\n3.6251\n512.63\n65314.")
    answer = reader.answered()
    reader.at(".asked .grid").has_text("3.6251\n512.63\n65314.")
    answer.at(".prose .grid").contains("346251")
    reader.at(".frame").last.click()
    answer.at(".stage .canvas").has_attribute("class", "canvas board")


@test()
def text_of_the_model_is_never_markup(reader):
    reader.ask("tags")
    answer = reader.answered()
    for frame in range(3):
        reader.at(".frame").nth(frame).click()
    reader.at(".stage .canvas .t").nth(1).hover()
    reader.press("ESCAPE")
    reader.reload()
    answer.at(".prose").last.contains("<img src=x onerror=")
    answer.at(".prose strong").has_text("<b>bold</b>")
    for tag in ("script", "img", "b", "a[href^=javascript]"):
        assert answer.at(f".prose {tag}").count() == 0, tag
    assert reader.run("return window.hacked ?? null") is None


@test()
def retry_replaces_the_answer_and_edit_replaces_the_question(reader, service):
    reader.ask("short one")
    reader.answered()
    reader.at("[aria-label='Retry this answer']").click()
    reader.answered()
    reader.at(".answer").has_count(1)
    assert len(service.requests) == 2
    reader.ask("and a short second")
    reader.answered()
    reader.at("[aria-label='Edit this question']").first.click()
    reader.at(".rewrite").has_focus()
    reader.at(".rewrite").fill("short, but different")
    reader.press("ENTER")
    reader.refuse()  # the second question would go, too
    reader.at(".asked").has_texts(["and a short second"])
    reader.press("ENTER")
    reader.accept()
    reader.answered()
    reader.at(".asked").has_texts(["short, but different"])
    reader.at("#title").has_text("short, but different")
    assert json.loads(service.requests[-1])["messages"] == [{"role": "user", "content": "short, but different"}]


@test()
def what_went_wrong_is_said_where_the_answer_would_be(reader):
    for question, words in (("busy", "try again in 3 s"), ("endless", "begin a new conversation"), ("fail", "Out of memory in step 3."), ("break", "broke off")):
        reader.ask(question)
        reader.answered().at(".trouble").contains(words)
    reader.ask("short")
    reader.answered().at(".prose").last.has_text("Yes.")


@test()
def knobs_go_into_the_request_and_a_seed_keeps_all_its_digits(reader, service):
    reader.at("#open-settings").click()
    reader.at("#knob-t_max").has_attribute("placeholder", "0.8")
    reader.at("#knob-seed").fill("18446744073709551615")
    reader.at("#knob-max_denoising_steps").fill("12")
    reader.at("#knob-t_max").fill("much")
    reader.at("#knob-t_max-hint").contains("not used")
    for temperature, words in (("0", "from 0.001"), ("0.3", "the last one is above the first one"), ("much", "not used")):
        reader.at("#knob-t_max").fill(temperature)
        reader.at("#knob-t_max-hint").contains(words)
    reader.at("#knob-system").fill("Be brief.")
    reader.at("#knob-thinking").click()
    reader.press("ESCAPE")
    reader.ask("short")
    answer = reader.answered()
    assert '"seed":18446744073709551615' in service.requests[-1]
    body = json.loads(service.requests[-1])
    assert body["diffusion"] == {"drafts": True, "max_denoising_steps": 12}
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    answer.at(".margin").contains("seed 18446744073709551615")
    answer.at(".reasoning summary").is_shown()


@test()
def conversations_are_kept_apart_and_can_be_deleted(reader):
    reader.ask("the short first")
    reader.answered()
    reader.at("#new").click()
    reader.ask("the short second")
    reader.answered()
    reader.at("#conversations a").has_texts(["the short second", "the short first"])
    reader.at("#conversations a").last.click()
    reader.at(".asked").has_text("the short first")
    reader.driver.back()
    reader.at(".asked").has_text("the short second")
    reader.at("#conversations .remove").first.click()
    reader.accept()
    reader.at("#conversations a").has_texts(["the short first"])
    reader.at("#welcome").is_shown()


@test()
def a_conversation_deleted_while_it_is_answered_stays_deleted(reader, service):
    reader.ask("short")
    reader.answered()
    reader.at("#new").click()
    reader.ask("hold")
    reader.at(".frame").has_count(2)
    reader.at("#conversations .remove").first.click()
    reader.accept()
    reader.at("#welcome").is_shown()
    assert service.vanished.wait(PATIENCE)
    reader.at("#shutter").has_attribute("aria-label", "Send")
    reader.at("#conversations a").has_texts(["short"])
    assert kept(reader) == [["short"], 1]


@test()
def two_conversations_are_answered_at_once_and_stop_belongs_to_the_one_on_view(reader, service):
    reader.ask("hold the first")
    reader.at(".frame").has_count(2)
    reader.at("#prompt").fill("too early")
    reader.at("#prompt").press("ENTER")
    reader.at("#notice").contains("still being answered")
    assert reader.at("#prompt").look("part.value") == "too early"
    reader.at("#prompt").fill("")
    reader.at("#new").click()
    reader.at("#notice").is_hidden()
    reader.at("#shutter").has_attribute("aria-label", "Send")
    reader.ask("hold the second")
    reader.at(".asked").has_text("hold the second")
    reader.at(".frame").has_count(2)
    reader.at("#conversations .busy").has_count(2)
    reader.press("ESCAPE")
    reader.answered().at(".margin").contains("stopped by you")
    reader.at("#conversations .busy a").has_texts(["hold the first, being answered"])
    reader.ask("short")
    reader.answered().at(".prose").last.has_text("Yes.")
    assert reader.at("#announcer").text() == "Yes."
    reader.at("#conversations a").last.click()
    reader.at("#shutter").has_attribute("aria-label", "Stop")
    service.release.set()
    reader.answered().at(".margin").contains("ended with its stop token")
    reader.at("#conversations .busy").has_count(0)


@test()
def more_answers_than_the_browser_has_connections_are_not_begun(reader):
    for name in "abcd":
        reader.at("#new").click()
        reader.ask(f"hold {name}")
        reader.at(".frame").has_count(2)
    reader.at("#new").click()
    reader.at("#prompt").fill("hold e")
    reader.at("#prompt").press("ENTER")
    reader.at("#notice").contains("4 conversations are being answered")
    reader.at("#conversations a").has_count(4)


@test()
def what_one_tab_changes_the_other_shows(reader, service):
    reader.ask("the short first")
    reader.answered()
    with Reader(reader.driver, reader.run("return location.href")) as other:
        other.at(".asked").has_text("the short first")
        other.ask("to the second canvas")
        other.at(".margin").last.contains("canvas 2")
        reader.turn_to()
        reader.at(".answer .prose").last.contains("Light is scattered")
        reader.at(".answer .trouble").last.contains("answered in another tab")
        reader.at("#conversations .busy").has_count(1)
        reader.at("#prompt").fill("me too")
        reader.at("#prompt").press("ENTER")
        reader.at("#notice").contains("answered in another tab")
        reader.reload()
        reader.at(".answer .trouble").last.contains("answered in another tab")
        service.release.set()
        reader.at(".prose strong").has_text("short waves most of all")
        reader.at(".answer .trouble").last.is_hidden()
        reader.at("#conversations .busy").has_count(0)
        reader.ask("short")
        reader.answered()
        other.turn_to()
        other.at(".asked").has_texts(["the short first", "to the second canvas", "short"])
        reader.turn_to()
        reader.at("#conversations .remove").click()
        reader.accept()
        other.turn_to()
        other.at("#notice").contains("“the short first” was deleted in another tab")
        other.at("#welcome").is_shown()
        assert kept(other) == [[], 0]
    reader.turn_to()


@test()
def a_tab_that_is_closed_in_the_middle_of_an_answer_leaves_it_to_the_other(reader, service):
    with Reader(reader.driver, reader.url) as other:
        other.ask("hold")
        other.at(".frame").has_count(2)
        reader.turn_to()
        reader.at("#conversations a").click()
        reader.at(".answer .trouble").contains("answered in another tab")
    reader.turn_to()
    reader.at(".answer .trouble").has_text("Broken off when the page was closed.")
    reader.at("#conversations .busy").has_count(0)
    service.release.set()
    reader.at("[aria-label='Retry this answer']").click()
    reader.answered().at(".prose strong").has_text("short waves most of all")


@test()
def where_two_tabs_changed_one_conversation_both_are_kept(reader, service):
    reader.ask("the short first")
    reader.answered()
    with Reader(reader.driver, reader.run("return location.href"), script="delete window.BroadcastChannel") as deaf:
        deaf.at(".asked").has_text("the short first")
        reader.turn_to().ask("short of the one")
        reader.answered()
        deaf.turn_to().ask("short of the other")
        deaf.answered()
        deaf.at("#notice").contains("“the short first” was changed in another tab")
        deaf.at("#conversations a").has_texts(["the short first (2)", "the short first"])
        deaf.at(".asked").has_texts(["the short first", "short of the other"])
        deaf.at("#title").has_text("the short first (2)")
        eventually(lambda: kept(deaf) == [["the short first", "the short first (2)"], 4], otherwise="not both are kept")
        deaf.reload()
        deaf.at(".asked").has_texts(["the short first", "short of the other"])
        deaf.at(".exposures > summary").first.click()
        deaf.at(".frame").exists()
        deaf.at("#conversations a").last.click()
        deaf.at(".asked").has_texts(["the short first", "short of the one"])
        reader.turn_to().at("#conversations .remove").first.click()
        reader.accept()
        deaf.turn_to().ask("short again")
        deaf.at("#notice").contains("was deleted in another tab")
        eventually(lambda: kept(deaf) == [["the short first (2)"], 2], otherwise="what was deleted is kept again")
    reader.turn_to()


@test()
def the_link_past_the_list_leads_to_the_prompt(reader):
    reader.ask("short")
    reader.answered()
    reader.at(".skip").focus()
    reader.press("ENTER")
    reader.at("#prompt").has_focus()
    reader.at(".asked").has_text("short")


@test()
def the_text_is_in_line_with_the_prompt_whether_or_not_there_is_a_scroll_bar(reader):
    left = "Math.round(part.getBoundingClientRect().left)"
    reader.ask("Why is the sky blue?")
    reader.answered()
    for width in (1900, 1280, 900, 400):
        for height in (400, 2000):
            reader.resize(width, height)
            for text, below in ((".asked", "#prompt"), *(((".answer .margin", "#shutter"),) if width >= 1280 else ())):
                assert reader.at(text).look(left) == reader.at(below).look(left), (width, height, text)


@test()
def the_prompt_is_as_tall_as_what_is_typed_and_has_no_scroll_bar(reader):
    fits = "const p = document.getElementById('prompt'); return [p.scrollHeight <= p.clientHeight, p.clientHeight]"
    empty_fits, empty_height = reader.run(fits)
    reader.at("#prompt").fill("one\ntwo\nthree")
    typed_fits, typed_height = reader.run(fits)
    assert empty_fits and typed_fits
    assert typed_height > empty_height + 30, (empty_height, typed_height)


@test()
def damaged_records_are_left_out_and_said(reader):
    reader.ask("short")
    reader.answered()
    reader.run_until_done("""
      const request = indexedDB.open('dgemma');
      request.onsuccess = () => {
        const change = request.result.transaction(['conversations', 'traces'], 'readwrite');
        change.objectStore('conversations').put({id: 'bad', title: 7, messages: 'none'});
        const traces = change.objectStore('traces');
        traces.getAll().onsuccess = ({target}) => traces.put({...target.result[0], texts: null});
        change.oncomplete = () => done();
      };""")
    reader.run("localStorage.setItem('dgemma.settings', '{not json')")
    reader.reload()
    reader.at("#conversations a").has_texts(["short"])
    reader.at("#model").has_text("stand-in")
    reader.at("#notice").contains("1 kept conversation(s) could not be read")
    reader.at(".exposures > summary").click()
    reader.at(".exposures").contains("not kept any more")


@test()
def a_browser_that_keeps_nothing_still_answers_and_says_so(reader):
    for damage, words in (("Object.defineProperty(window, 'indexedDB', {get() { throw new Error('denied'); }})", "until it is closed"),
                          ("IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); }",
                           "would not keep this")):
        with Reader(reader.driver, reader.url, script=damage) as other:
            other.ask("short")
            other.at(".answer .prose").last.has_text("Yes.")
            other.at("#notice").contains(words)


@test()
def a_model_that_is_being_loaded_is_waited_for(reader, service):
    service.loading.set()
    reader.reload()
    reader.at("#notice").contains("being loaded")
    reader.at("#open-settings").click()
    reader.at("#knob-t_max").has_attribute("placeholder", "")
    service.loading.clear()
    reader.at("#model").has_text("stand-in")
    reader.at("#knob-t_max").has_attribute("placeholder", "0.8")
    reader.press("ESCAPE")
    reader.at("#notice").is_hidden()


@test()
def a_wide_canvas_fades_only_where_steps_are_slow(reader):
    fades = reader.run("""
        const {CanvasView} = await import('./canvas_view.mjs');
        const {CanvasState} = await import('./trace.mjs');
        const state = new CanvasState(256), view = new CanvasView('');
        document.body.append(view.root);
        const rows = new Set(state.texts.keys());
        const after = (ms) => new Promise((done) => { setTimeout(done, ms); });
        const draw = async (text, level) => {
          state.texts.fill(text);
          state.states.fill(level);
          view.draw(state, rows);
          await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
          return view.root.getAnimations({subtree: true}).length;
        };
        await draw('noise', 0);
        const quick = await draw('draft', 1);
        await after(400);
        return [quick, await draw('done', 3)];""")
    assert fades[0] == 0 and fades[1] >= 256, fades


@test()
def the_theme_is_kept_and_the_frames_follow_it(reader):
    reader.ask("short")
    reader.answered()
    pixel = """const context = document.createElement('canvas').getContext('2d');
               context.drawImage(document.querySelector('.frame img'), 0, 0);
               return [...context.getImageData(0, 0, 1, 1).data].join()"""
    before = reader.run(pixel)
    reader.at("#theme").click()
    assert reader.run(pixel) != before
    theme = reader.at("html").attribute("data-theme")
    reader.reload()
    reader.at("html").has_attribute("data-theme", theme)


@test()
def a_phone_scrolls_in_one_direction_and_its_list_is_a_drawer(reader):
    reader.resize(360, 740)
    reader.ask("Why is the sky blue?")
    reader.answered()
    reader.at(".frame").nth(1).click()
    reader.press("ARROW_RIGHT")
    reader.at(".frame").nth(2).has_attribute("class", "frame chosen")
    assert reader.run("return document.scrollingElement.scrollWidth") <= 360
    assert reader.run("return document.getElementById('scroller').scrollWidth") <= 360
    reader.at("#open-rail").press("ENTER")
    reader.at("#new").has_focus()
    reader.press("ESCAPE")
    reader.at("#new").is_hidden()
    reader.at("#open-rail").has_focus()


@test()
def who_wants_stillness_gets_it(reader):
    reader.browser_says("Emulation.setEmulatedMedia",
                        features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    reader.reload()
    reader.at("#headline .t").first.has_attribute("class", "t f6")
    assert reader.at(".headline .f6").count() == reader.at(".headline .t").count()
    moving = "return document.getAnimations().length"
    reader.ask("hold")
    reader.at(".frame").has_count(2)
    assert reader.run(moving) == 0


@test()
def a_key_is_asked_for_once_and_kept_for_the_tab(reader, service):
    service.key = "sesame"
    reader.reload()
    dialog = reader.at("#ask-key")
    for key in ("wrong", "sesame"):
        dialog.is_shown()
        reader.at("#key").fill(key)
        reader.press("ENTER")
    dialog.is_hidden()
    reader.ask("short")
    reader.answered().at(".prose").last.has_text("Yes.")
    reader.reload()
    reader.at("#model").has_text("stand-in")
    dialog.is_hidden()


@test()
def what_cannot_be_a_key_is_not_taken(reader, service):
    service.key = "sesame"
    reader.run("sessionStorage.setItem('dgemma.key', 'сезам')")
    reader.reload()
    reader.at("#ask-key").is_shown()
    assert reader.run("return sessionStorage.getItem('dgemma.key')") is None
    for key in ("сезам", "open sesame"):
        reader.at("#key").fill(key)
        reader.press("ENTER")
        reader.at("#key-problem").contains("signs of ASCII only")
        reader.at("#ask-key").is_shown()
    reader.at("#key").fill(" sesame ")
    reader.press("ENTER")
    reader.at("#ask-key").is_hidden()
    reader.at("#model").has_text("stand-in")
    reader.at("#notice").is_hidden()


@test()
def a_service_started_anew_with_another_model_is_asked_again(reader, service):
    reader.ask("short")
    reader.answered()
    service.model = "another"
    reader.ask("short again")
    reader.answered().at(".prose").last.has_text("Yes.")
    reader.at("#model").has_text("another")
    service.deaf.set()
    service.model = "a third"
    reader.ask("and a short one")
    reader.answered().at(".prose").last.has_text("Yes.")
    reader.at("#model").has_text("a third")
    reader.at(".trouble").is_hidden()


@test()
def a_service_that_comes_back_later_is_noticed(reader, service):
    reader.at("#model").has_text("stand-in")
    service.deaf.set()
    service.loading.set()
    reader.ask("short")
    reader.answered().at(".trouble").contains("being loaded")
    service.model = "another"
    service.loading.clear()
    reader.at("#model").has_text("another")
    reader.at("#notice").is_hidden()
    reader.at("[aria-label='Retry this answer']").click()
    reader.answered().at(".prose").last.has_text("Yes.")


class Program:
    """`dgemma serve`, from its start to its end, in the place of a StandIn."""

    def __init__(self, program, model):
        self.process = subprocess.Popen([program, "serve", "-m", model, "--port", "0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[-1] + "/"

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, f"the service ended with status {self.process.returncode}"


def play(driver, function, service):
    try:
        with Reader(driver, service.url) as reader:
            function(reader, service) if function.__code__.co_argcount == 2 else function(reader)
            errors = reader.errors()
            assert not errors, errors
    finally:
        service.stop()


def run(driver, function, service):
    try:
        play(driver, function, service)
        print(f"ok      {function.__name__}", flush=True)
        return True
    except Exception:
        traceback.print_exc()
        print(f"FAILED  {function.__name__}", flush=True)
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", nargs=2, metavar=("PROGRAM", "MODEL"), help="default: the stand-in")
    parser.add_argument("names", nargs="*", help="only tests with one of these in their name")
    options = parser.parse_args()
    kind = "real" if options.service else "stand-in"
    tests = [function for function, where in TESTS if kind in where and
             (not options.names or any(name in function.__name__ for name in options.names))]
    try:
        driver = start()
    except Unavailable as reason:
        print(f"skipped: {reason}")
        return 77
    try:
        results = [run(driver, test, Program(*options.service) if options.service else StandIn().start())
                   for test in tests]
    finally:
        driver.quit()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
