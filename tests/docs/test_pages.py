"""The code of README, CONTRIBUTING and docs/ runs, and prints what the pages show."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import Call
from elman.data.audio.synthesis import located
from elman.demo import series
from elman.errors import UsageError
from elman.tasks import TASKS, task_class, tuning
from elman.tasks.transcribe import phrases
from pages import run_page
from speaking import Chords
from tones import write_words

pytestmark = pytest.mark.usefixtures("short_talks")
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LESSON = sorted((ROOT / "docs/lesson").glob("*.md"))  # whose trainings are small as they stand
# Where a page leaves the settings to the data. A translator must learn more, or its translations are empty.
QUICK: dict[str, dict[str, Any]] = {name: {"epochs": 1, "hidden": 16} for name in TASKS}
QUICK["translate"] = {"epochs": 12, "hidden": 64}
QUICK["chat"] |= {"num_samples": 2, "beam_width": 2, "max_tokens": 10}


KINDS = ("film", "movie", "play", "book", "song")
PLAY = "ROMEO:\nI love deep water, {0} times.\n\nJULIET:\nI love deep learning, {0} times.\n\n"
ENGLISH = {"Ein": "A", "Hund": "dog", "Kind": "child", "Mann": "man", "rennt": "runs", "ruft": "calls"}
ENGLISH |= {"singt": "sings", "im": "in the", "Schnee": "snow", "Park": "park", "Haus": "house"}

WORDS = [*ENGLISH]


@pytest.fixture
def data(tmp_path: Path) -> None:
    """The files that the pages name, small."""
    films = [f"the {kind} was {word} good" for kind in KINDS for word in ("very", "not") for _ in range(8)]
    rows = [f"{text} number {k},{'bad' if 'not' in text else 'good'}" for k, text in enumerate(films)]
    german = [f"Ein {a} {b} im {c}." for a, b, c in product(WORDS[1:4], WORDS[4:7], WORDS[8:])]
    english = [" ".join(ENGLISH.get(word, word) for word in line[:-1].split()) + "." for line in german]
    talks = [[f"Hello {k}!", "Hello, how are you?", f"It is {k} today.", "Good."] for k in range(40)]
    lines = {
        "reviews.csv": ["review,stars", *rows],
        "tickets.csv": [
            "body,tags",
            *(f"{text},{'bad;rare' if 'not' in text else 'good'}" for text in films),
        ],
        "test.csv": ["review,stars", "a good film,good", "it was not good,bad"],
        "reviews.txt": ["a good film", "not good"],
        "plays.txt": [PLAY.format(k) for k in range(60)],
        "other.txt": [PLAY.format("many")] * 3,
        "conversations.jsonl": [json.dumps({"turns": talk}) for talk in talks],
        "train.de": german * 2,
        "train.en": english * 2,
        "test.de": german[:6],
        "test.en": english[:6],
        "commands.txt": ["one", "two", "three"],
    }
    for name, content in lines.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in content))
    (tmp_path / "digits").mkdir()
    write_words(tmp_path / "digits", 4)
    series.sales()[-132:].select(month="ds", sales="y").write_csv(tmp_path / "sales.csv")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On a busy machine, threads on tiny shapes wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _few_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little synthesised speech, of chords where eSpeak NG is missing."""
    monkeypatch.setattr(phrases, "RECORDINGS", 24)
    monkeypatch.setattr(phrases, "OTHER_HELD_OUT", 10)
    try:
        located()
    except UsageError:
        monkeypatch.setattr(phrases, "EspeakNG", Chords)


def quick(name: str, fit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fit)
    def with_few_epochs(*arguments: Any, **settings: Any) -> Any:
        return fit(*arguments, **QUICK[name] | {"progress": False} | settings)

    return with_few_epochs


@pytest.mark.parametrize("page", PAGES + LESSON, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_the_code_of_a_page_runs(page: Path, call: Call, data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.stem != "README" and page not in LESSON:
        for name in TASKS:
            monkeypatch.setattr(task_class(name), "fit", quick(name, task_class(name).fit))
        tune = tuning.tune
        monkeypatch.setattr(
            tuning, "tune", lambda *data, **options: tune(*data, **options | {"minutes": 0.04})
        )
    run_page(page, call)


@pytest.mark.parametrize("page", [*PAGES, *LESSON], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^()#\s]+)(?:#[^()\s]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []
