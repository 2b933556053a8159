"""The studio page in a real browser: the main path of each view, silent, without a request to elsewhere, and
at all sizes no wider than its window."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from browsing import Visit, browser, write_wav
from daily_series import H, fitted
from saved_models import SAVED
from serving import Served, serving
from tones import RATE, sentence

SAID = "one two three"
METRICS = [
    {
        "step": k,
        "epoch": k // 4,
        "done": k / 12,
        "loss": 2 / k,
        "learning_rate": 0.1,
        "rate": 9.0,
        "left": 4.0,
    }
    | ({"scores": {"accuracy": k / 12}, "best": True, "memory": {"words": 3.5}} if k % 4 == 0 else {})
    for k in range(1, 10)
]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("sound") / "said.wav", sentence(SAID, 5), RATE)


@pytest.fixture(scope="module")
def running(heard: Path) -> Iterator[Any]:
    with browser(heard) as one:
        yield one


@pytest.fixture
def visit(running: Any, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "cache"))
    context = running.new_context(viewport={"width": 1280, "height": 900}, permissions=["microphone"])
    yield Visit(context.new_page(), served.url)
    context.close()


def test_start_shows_every_model_and_something_to_try(visit: Visit) -> None:
    visit.to("")
    visit.until("document.querySelectorAll('.card').length === 6")
    visit.page.get_by_text("“The movie was not good”").click()
    visit.until("document.querySelector('.verdict strong')")
    assert "text/classify" in visit.page.url
    visit.check()


def test_the_verdict_moves_with_every_word_and_the_words_are_coloured(visit: Visit) -> None:
    visit.to("text/classify?text=" + quote("the film "))
    visit.until("document.querySelectorAll('.word').length === 2")
    before = visit.text(".bar-share")
    visit.page.locator("#text").press_sequentially("was not good ")
    visit.until("document.querySelectorAll('.word .trace').length === 5")
    visit.until("[...document.querySelectorAll('.word')].every(w => w.title.includes('in the network'))")
    assert visit.text(".verdict strong") in ("good", "bad") and visit.text(".bar-share") != before
    assert quote("not good") in visit.page.url.replace("+", "%20")
    visit.page.reload()  # nothing is lost
    visit.until("document.querySelectorAll('.word').length === 5")
    assert visit.page.locator("#text").input_value() == "the film was not good "
    visit.check()


def test_the_lens_shows_states_gates_and_the_network_unrolled(visit: Visit) -> None:
    visit.to("text/classify?text=" + quote("the film was not good"))
    visit.until("document.querySelector('canvas.heat')?.width > 0")
    visit.page.locator("canvas.heat").focus()
    visit.page.keyboard.press("ArrowLeft")
    assert "unit 0" in visit.text(".readout")
    visit.page.locator("#tab-states").focus()
    visit.page.keyboard.press("ArrowRight")
    visit.until(
        "[...document.querySelectorAll('.lens .choices button')].map(b => b.textContent).join('') === 'ifgo'"
    )
    for tab, wanted in {"unroll": ".unrolled circle", "flow": ".uplot", "horizon": ".uplot"}.items():
        visit.page.locator(f"#tab-{tab}").click()
        visit.until(f"document.querySelector('.lens {wanted}')")
    visit.page.locator("#tab-unroll").click()
    visit.page.get_by_label("Moment").fill("2")
    assert visit.text(".caption").startswith("Step 2 of 6: it reads “the”.")
    visit.page.get_by_label("Moment").fill("9")
    assert visit.text(".caption").startswith("Backwards: the gradient has reached “was”")
    visit.check()


def test_next_words_are_taken_and_a_text_goes_on(visit: Visit) -> None:
    visit.to("writing/generate?text=" + quote("I love "))
    visit.until("document.querySelectorAll('button.bar').length > 2")
    word = visit.text("button.bar .bar-label")
    visit.page.locator("#text").press("Alt+1")
    assert visit.page.locator("#text").input_value().strip().endswith(word)
    visit.page.get_by_role("button", name="Write on").click()
    visit.until("document.querySelector('.written')?.textContent.length > 20")
    visit.page.get_by_role("button", name="Keep it").click()
    assert len(visit.page.locator("#text").input_value()) > 25
    visit.check()


def test_a_translation_and_its_attention(visit: Visit) -> None:
    visit.to("translation/translate?text=" + quote("libron portas la hundo."))
    visit.until("document.querySelector('.translated')?.textContent")
    visit.until("document.querySelector('canvas.heat')?.width > 0")
    visit.check()


def test_a_talk_is_the_same_on_reload_and_says_why(visit: Visit) -> None:
    visit.to("chat/chat")
    visit.page.get_by_label("Your turn").fill("Hello!")
    visit.page.get_by_label("Your turn").press("Enter")
    visit.until("document.querySelector('.turn.bot > p')")
    reply = visit.text(".turn.bot > p")
    visit.page.get_by_role("button", name="Why?").click()
    visit.until("document.querySelectorAll('.because .word').length")
    visit.page.reload()
    visit.until("document.querySelector('.turn.bot > p')")
    assert visit.text(".turn.bot > p") == reply and visit.text(".turn.you > p") == "Hello!"
    visit.check()


def test_a_recording_and_the_microphone_are_heard(visit: Visit, heard: Path) -> None:
    visit.to("speech/transcribe")
    visit.page.locator("#file").set_input_files(heard)
    visit.until("document.querySelector('.speech-panel')?.textContent.includes('words. Point at one')")
    assert "".join(visit.page.locator(".certain").all_text_contents()).split() == SAID.split()
    visit.page.get_by_role("button", name="Listen").click()
    visit.until("document.querySelector('.level > span')?.style.width > '2'")
    visit.until("document.querySelectorAll('.certain').length >= 3")
    visit.page.get_by_role("button", name="Stop").click()
    visit.until("/\\d word/.test(document.querySelector('.speech-panel')?.textContent)")
    assert {*" ".join(visit.page.locator(".certain").all_inner_texts()).split()} <= {*SAID.split()}
    visit.check()


def test_a_csv_is_forecast_beside_the_naive_and_in_words_where_it_can_not_be(
    visit: Visit, tmp_path: Path
) -> None:
    visit.to("series/forecast")
    visit.until("document.querySelector('.uplot')")
    file = tmp_path / "own.csv"
    file.write_text(
        "date,sold,stock\n"
        + "".join(f"{2010 + k // 12}-{k % 12 + 1:02d}-01,{100 + k % 12},5\n" for k in range(48))
    )
    visit.page.locator("#csv").set_input_files(file)
    visit.until("document.querySelector('#column-sales')")
    assert [visit.page.locator(f"#column-{name}").input_value() for name in ("month", "sales")] == [
        "date",
        "sold",
    ]
    before = visit.text(".finding")
    assert before.startswith("sold over the next 6 months:") and "in all; by the last season" in before
    visit.page.locator("#column-sales").select_option("stock")
    visit.until(f"document.querySelector('.finding').textContent !== {json.dumps(before)}")
    visit.page.get_by_role("button", name="last value").click()
    visit.page.get_by_role("button", name="Closer").click()
    visit.until("new URLSearchParams(location.hash.split('?')[1]).get('data')")
    link = visit.page.url.partition("#/")[2]
    visit.page.evaluate("localStorage.clear()")
    visit.to(link)  # the table is in the link
    visit.until("document.body.textContent.includes('48 steps, forecast from 2014-01-01')")
    file.write_text("month,sales\n2010-01-01,many\n")
    visit.page.locator("#csv").set_input_files(file)
    visit.until("document.querySelector('.wrong:not(:empty)')")
    assert "sales" in visit.text(".wrong:not(:empty)")
    months = "".join(f"{2010 + k // 12}-{k % 12 + 1:02d}-01,12\n" for k in range(24))
    file.write_text(f"date,sold\n{months}2012-01-01,1O\n")  # beyond the rows that the page looks at
    visit.page.locator("#csv").set_input_files(file)
    visit.until("document.body.textContent.includes(\"column 'sold' holds '1O'\")")
    file.write_text('"Date","Sold in all"\n"2010-01-01","1,010"\n"2010-02-01","1,020"\n')
    visit.page.locator("#csv").set_input_files(file)
    visit.until("document.body.textContent.includes('without thousands separators')")
    visit.told = [line for line in visit.told if "422" not in line]  # the browser's own line for the refusal
    visit.check()


def test_a_column_known_ahead_is_moved_and_the_forecast_follows(running: Any, tmp_path: Path) -> None:
    rows = [
        (date(2021, 1, 4) + timedelta(k), 10 + k % 7 + 5 * (k % 5), k % 5, int(k % 9 == 0))
        for k in range(126)
    ]
    table = {name: [row[k] for row in rows] for k, name in enumerate(("ds", "y", "price", "promo"))}
    fitted({name: cells[:120] for name, cells in table.items()}, horizon=H, future=("price", "promo")).save(
        tmp_path / "priced"
    )
    with serving({"priced": tmp_path / "priced"}) as served:
        visit = Visit(running.new_context().new_page(), served.url)
        visit.to("series/priced")
        visit.until("document.body.textContent.includes('their last values are carried on: price, promo')")
        visit.page.locator(".slide input").fill("4")
        visit.until("document.body.textContent.includes('Moved: ')")
        moved = visit.page.locator(".known + *, .knowns + *").first.inner_text()
        visit.page.locator(".step-switch").nth(2).click()
        visit.until(f"!document.body.textContent.includes({json.dumps(moved)})")
        visit.until("location.hash.includes('promo')")
        visit.to(visit.page.url.partition("#/")[2])
        visit.until("document.querySelectorAll('.step-switch[aria-pressed=true]').length === 1")
        visit.page.get_by_role("button", name="Put back").click()
        visit.until("document.querySelectorAll('.step-switch[aria-pressed=true]').length === 0")
        visit.check()
        visit.page.context.close()


def test_a_training_is_watched_and_stopped(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in METRICS[:5]))
    visit.to("trainings")
    visit.until("document.body.textContent.includes('elman train classify')")
    code = "import sys, time\nfrom pathlib import Path\nfrom elman.training.announced import announced\n"
    code += "with announced('classify', Path(sys.argv[1])):\n    print(flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        visit.until("document.querySelectorAll('.uplot').length >= 3")
        with (folder / "metrics.jsonl").open("a") as out:
            out.writelines(json.dumps(line) + "\n" for line in METRICS[5:])
        visit.until("document.querySelector('.finding')?.textContent.includes('step 9')")
        assert "Memory horizon: 3.5 words" in visit.page.locator("main").inner_text()
        visit.page.get_by_role("button", name="Stop", exact=True).click()
        visit.page.get_by_role("button", name="Stop it").click()
        assert process.wait(10) != 0
    visit.until("document.body.textContent.includes('The training has ended.')")
    visit.check()


def test_the_lesson_is_live(visit: Visit) -> None:
    visit.to("lesson?text=" + quote("the film was not good"))
    for number, wanted in {
        1: ".bar",
        2: "tbody tr",
        3: "canvas",
        4: "canvas",
        5: "circle",
        6: ".uplot",
        7: "canvas",
    }.items():
        visit.page.locator(f"#section-{number}").scroll_into_view_if_needed()
        visit.until(
            f"document.querySelectorAll('.lesson-section')[{number - 1}].querySelector('.example {wanted}')"
        )
    visit.check()


def test_a_view_without_a_model_and_an_unknown_model_are_told_in_words(visit: Visit) -> None:
    visit.to("text/nothing")
    visit.until("document.querySelector('.wrong')?.textContent.includes('no model “nothing”')")
    visit.check()


def test_a_key_is_asked_for_and_goes_with_every_request(running: Any) -> None:
    with serving({"classify": SAVED / "classify"}, key="a-key/(of-it)") as guarded:
        visit = Visit(running.new_context().new_page(), guarded.url)
        visit.to("text/classify")
        for key, shown in {"another-key": "#key-wrong", "a-key/(of-it)": ".word"}.items():
            visit.page.locator("#key").fill(key)
            visit.page.keyboard.press("Enter")
            visit.until("!document.querySelector('#key').value")
            visit.until(f"document.querySelector('{shown}')?.textContent")
        visit.until("document.querySelector('.verdict strong')?.textContent")  # by the websocket
        assert "key" not in visit.page.url and not visit.page.evaluate("JSON.stringify(localStorage)").count(
            "of-it"
        )
        visit.page.context.close()


def test_light_and_dark_are_chosen_and_kept(visit: Visit) -> None:
    visit.to("")
    button = visit.page.locator("#theme")
    button.click()
    light = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    button.click()
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    visit.page.reload()
    assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
