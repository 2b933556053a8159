"""models/make.py with a small model: what it writes, and what it does not do again."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import elman
from saved_models import SAVED

MODELS = Path(__file__).parents[2] / "models"
FILMS = {
    "text": [
        f"the {thing} was {word}" for thing in ("film", "plot", "cast", "end") for word in ("good", "bad")
    ],
    "label": ["positive", "negative"] * 4,
}
MORE = {"text": ["the music was good", "the music was bad"], "label": ["positive", "negative"]}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(MODELS))
    monkeypatch.chdir(tmp_path)
    import make

    monkeypatch.setattr(make, "HOME", tmp_path / "home")
    return make


def fit(work: Path, **options: Any) -> elman.Classifier:
    return elman.Classifier.fit(FILMS, hidden=4, embedding=4, epochs=1, networks=1, progress=False, **options)


@pytest.fixture
def recipe(make: Any) -> Any:
    tests = {"other films": lambda work: MORE, "the same films": lambda work: FILMS}
    return replace(make.RECIPES["sentiment"], fit=fit, tests=tests, about="good or bad", label="share right")


def test_a_model_with_its_card_and_its_entry(make: Any, recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "RECIPES", {"films": recipe, "again": recipe})
    for names in (["again"], ["films"]):
        monkeypatch.setattr(sys, "argv", ["make.py", *names])
        make.main()
    index = json.loads((make.HOME / "index.json").read_text())
    assert [*index] == ["films", "again"]  # in the order of the recipes
    model = elman.load(make.HOME / "films")
    exact = elman.load(make.RUNS / "films").evaluate(MORE)
    scored = replace(model.evaluate(MORE), baselines=exact.baselines)
    score = index["films"]["score"]
    assert (score["label"], score["tested_on"]) == ("share right", "other films")
    assert score["value"] == scored.scores["accuracy"]
    assert (score["baseline"], score["baseline_value"]) == ("TF-IDF", scored.baselines["TF-IDF"]["accuracy"])
    card = (make.HOME / "films" / "CARD.md").read_text()
    assert card.startswith("# elman:films\n\nGood or bad.\n")
    assert f"## On other films\n\n```text\n{scored}\n```\n\n## On the same films\n" in card
    facts = " ".join(card.split())
    for text in ("© 2016 C.J. Hutto", "weights**: MIT.", "`python models/make.py films`, in 0."):
        assert text in facts
    accuracies = [one.scores["accuracy"] for one in (scored, exact)]
    assert "share right {:.4f}; with 32 bits {:.4f}.".format(*accuracies) in facts


def test_what_is_trained_is_not_trained_again(make: Any, recipe: Any) -> None:
    first = make.make("films", recipe)
    assert make.make("films", replace(recipe, fit=None)) == first


def test_a_wrong_name(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", "sentence"])
    with pytest.raises(SystemExit, match=r"there is no model 'sentence': there are sentiment, "):
        make.main()


def test_what_is_left_out_of_models_that_are_shipped(make: Any, tmp_path: Path) -> None:
    import recipes

    speech = recipes.without_recordings(elman.load(SAVED / "transcribe"))
    language = recipes.without_text(elman.load(SAVED / "generate"))
    for model, whole in ((speech, SAVED / "transcribe"), (language, SAVED / "generate")):
        model.save(tmp_path / model.task)
        sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / model.task, whole)]
        assert sizes[0] < sizes[1]
        assert elman.load(tmp_path / model.task).task == model.task
    assert elman.load(tmp_path / "generate").baseline is None
    assert elman.load(tmp_path / "transcribe").baseline.name == "commonest text"


def test_the_best_plain_method_is_the_one_to_be_told(make: Any) -> None:
    import recipes

    model = elman.load(SAVED / "forecast")
    scored = replace(
        model.validation,
        baselines={
            name: model.validation.scores | {"mase": mase} for name, mase in (("naive", 2.0), ("Theta", 1.0))
        },
    )
    told = make.score_of(recipes.RECIPES["sales"], scored)
    assert (told["baseline"], told["baseline_value"], told["lower_is_better"]) == ("Theta", 1.0, True)
