"""Models that come with elman, by name: which there are, what they answer, what is said without them."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elman
from elman import artifact, pretrained
from elman.atomic import check_output
from elman.demo import digits
from elman.errors import ArtifactError, UsageError
from elman.tasks import TASKS

MAX_BYTES = 8_000_000  # of all together
ENTRY = {
    "task": "classify",
    "about": "good or bad",
    "score": {
        "label": "perplexity",
        "value": 1.5,
        "baseline": "n-gram",
        "baseline_value": 2.25,
        "lower_is_better": True,
        "tested_on": "other texts",
    },
    "data": "texts",
    "licence": "MIT",
    "example": "elman predict elman:one text",
}
each_model = pytest.mark.parametrize("model", pretrained.all_models(), ids=lambda model: model.name)


@pytest.fixture
def none_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SOURCE", tmp_path / "nowhere")
    monkeypatch.setattr(pretrained, "PACKAGE", "elman_models_of_nobody")


def listed(folder: Path, **entries: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "index.json").write_text(json.dumps(entries))
    for name in entries:
        (folder / name).mkdir()
        (folder / name / "CARD.md").write_text(f"# {name}")
    return folder


def test_an_installed_package_comes_before_the_source(
    none_installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(tmp_path / "clone/src/elman_models_of_nobody", one=ENTRY)
    monkeypatch.setattr(pretrained, "SOURCE", tmp_path / "clone")
    (one,) = pretrained.all_models()
    assert one.folder.is_relative_to(tmp_path / "clone")
    assert asdict(one) == ENTRY | {"name": "elman:one", "folder": one.folder}
    assert (one.bytes, one.card, str(one.score)) == (5, "# one", "perplexity ↓ 1.5 (n-gram 2.25)")
    installed = listed(tmp_path / "site/elman_models_of_nobody", two=ENTRY)
    monkeypatch.syspath_prepend(tmp_path / "site")
    (two,) = pretrained.all_models()
    assert two.folder == installed / "two" == pretrained.folder_of("elman:two")


@pytest.mark.usefixtures("none_installed")
def test_a_missing_package_says_what_to_install() -> None:
    assert pretrained.all_models() == []
    with pytest.raises(
        UsageError, match=r"elman-models is not installed: run pip install \./models in a clone"
    ):
        elman.load("elman:sentiment")


@pytest.mark.usefixtures("none_installed")
@pytest.mark.parametrize("content", ["[", "[]", '{"one": 1}', '{"one": {"about": "good"}}'])
def test_a_damaged_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    home = listed(tmp_path / "clone/src/elman_models_of_nobody")
    (home / "index.json").write_text(content)
    monkeypatch.setattr(pretrained, "SOURCE", tmp_path / "clone")
    with pytest.raises(ArtifactError, match=r"index.json is damaged: install elman-models again"):
        elman.load("elman:one")


@pytest.mark.parametrize("name", ["elman:sentimnt", "elman:", "elman:../../secret", "elman:" + "x" * 10_000])
def test_a_wrong_name(name: str) -> None:
    sentence = r"^there is no model 'elman:.{0,60}: there are elman:sentiment, .*elman:sales$"
    for one in (name, Path(name)):
        with pytest.raises(UsageError, match=sentence):
            elman.load(one)


def test_paths_and_other_values_stay_as_they_are() -> None:
    for value in ("runs/elman:sentiment", Path("runs"), "", None, 3):
        assert pretrained.folder_of(value) is value


def test_what_is_known_of_a_folder(tmp_path: Path) -> None:
    known = pretrained.pretrained("elman:sales")
    assert pretrained.known_in(known.folder) == known
    assert pretrained.known_in(tmp_path / "sales") is None


def test_nothing_is_written_to_a_name() -> None:
    model = elman.load("elman:sales")
    for write in (model.save, artifact.check_destination, lambda name: check_output(Path(name))):
        with pytest.raises(
            UsageError, match=r"^elman:mine can't be written: elman: begins the names of models"
        ):
            write("elman:mine")


# ---- the models themselves


def test_they_are_small_and_all_there() -> None:
    models = pretrained.all_models()
    assert sum(model.bytes for model in models) <= MAX_BYTES
    folders = {file.name for file in pretrained.SOURCE.glob("src/elman_models/*/")}
    assert {model.folder.name for model in models} == folders - {"__pycache__"}


@each_model
def test_each_is_what_its_card_says(model: pretrained.Pretrained) -> None:
    loaded = elman.load(model.name)
    assert loaded.task == model.task == artifact.saved_task(model.name)
    assert model.task in TASKS
    better = model.score.baseline_value > model.score.value
    if better != model.score.lower_is_better:  # than the plain method, or the card says so
        assert f"{model.score.baseline}, which needs" in " ".join(model.card.split())
    for text in (model.example, model.data, model.licence, model.score.tested_on, "python models/make.py"):
        assert text in " ".join(model.card.split())
    files = [file.read_bytes() for file in model.folder.iterdir()]
    places = (str(place).encode() for place in (Path.home(), pretrained.SOURCE, tempfile.gettempdir()))
    assert not [place for place in places if any(b"%b/" % place in file for file in files)]


@each_model
def test_the_page_has_a_row_for_each(model: pretrained.Pretrained) -> None:
    page = (Path(__file__).parents[1] / "docs/models.md").read_text(encoding="utf-8")
    row = f"| `{model.name}` | {model.about} | {model.score} | {model.data} | {model.licence} |"
    assert row in page.splitlines()


def test_not_good_is_negative() -> None:
    model = elman.load("elman:sentiment")
    answers = {
        "The movie was good": "positive",
        "The movie was not good": "negative",
        "I love this camera!": "positive",
        "What a waste of money.": "negative",
        "The train leaves at nine.": "neutral",
        "Not bad at all!": "positive",
    }
    assert model.predict(list(answers)) == list(answers.values())


def test_sales_of_december_exceed_those_of_january() -> None:
    model = elman.load("elman:sales")
    year = {row["ds"].month: row["q0.5"] for row in model.predict().to_dicts()}
    assert len(year) == 12
    assert max(year, key=lambda month: year[month]) == 12
    assert year[12] > 1.1 * year[1]
    assert np.isfinite([*year.values()]).all()


def test_digits_are_heard_live() -> None:
    """Recordings that training did not hear; said in a row with pauses, and pushed in pieces."""
    model = elman.load("elman:digits")
    said = [clip for clip in digits.clips() if clip.take in digits.TEST_TAKES]
    texts = model.predict([clip.samples for clip in said], rate=digits.RATE)
    right = sum(text == digits.WORDS[clip.digit] for text, clip in zip(texts, said, strict=True))
    assert right >= 0.95 * len(said)
    pause = np.zeros(digits.RATE // 2, np.float32)
    sound = np.concatenate([part for clip in said[:30:3] for part in (pause, clip.samples)] + [pause])
    stream, words = model.stream(rate=digits.RATE), []
    for piece in np.array_split(sound, 100):
        words += [word.text for word in stream.push(piece)]
    words += [word.text for word in stream.finish()]
    assert words == [digits.WORDS[clip.digit] for clip in said[:30:3]]


def test_small_talk_knows_its_name() -> None:
    bot = elman.load("elman:talk")
    assert "Elman" in bot.predict("What is your name?")
    assert bot.predict("Hello") in {"Hi", "Hello", "Hi there!", "Hello!", "Hello there!"}


def test_next_words_are_everyday_english() -> None:
    model = elman.load("elman:words")
    likely = {"How are": "you", "I would like to": "go", "Could you please": "tell", "The train leaves": "at"}
    for begun, word in likely.items():
        assert word in [word for word, _ in model.predict(begun)[:3]]
    written = "".join(model.generate("I would like", 60, seed=1, temperature=0.7))
    known = {token.strip() for token in model.vocabulary.tokens}
    assert {*written.split("\n")[0].rstrip(".?!").split()[:-1]} <= known


def test_letters_spell_shakespeare() -> None:
    model = elman.load("elman:letters")
    text = "".join(model.generate("ROMEO", 400, seed=0, temperature=0.5))
    common = {
        "the",
        "and",
        "to",
        "of",
        "my",
        "that",
        "in",
        "is",
        "not",
        "with",
        "you",
        "thou",
        "i",
        "a",
        "me",
    }
    words = text.lower().replace(",", " ").replace(".", " ").split()
    assert sum(word in common for word in words) >= 0.2 * len(words)


def test_french_becomes_english() -> None:
    model = elman.load("elman:french")
    english = {
        "Je ne sais pas.": "I don't know.",
        "Je suis fatigué.": "I'm tired.",
        "Il fait froid.": "It's cold.",
    }
    assert model.predict([*english]) == [*english.values()]
