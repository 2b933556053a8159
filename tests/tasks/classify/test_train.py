"""A classifier of texts that have several labels, from training to its saved self."""

import json
import random
from pathlib import Path

import pytest

import elman
import mutants
from elman.errors import ArtifactError, UsageError
from elman.tasks.classify.classifier import Classifier
from labelled_texts import QUICK, small

COLOURS = ["red", "green", "blue", "round"]


def coloured(count: int, seed: int) -> dict[str, list[str]]:
    draw, rows = random.Random(seed), {"text": [], "label": []}
    for i in range(count):
        chosen = [name for name in COLOURS if draw.random() < 0.4]
        words = [*chosen, "the", "thing", f"n{i % 7}"]
        rows["text"].append(" ".join(draw.sample(words, len(words))))
        rows["label"].append("; ".join(chosen))
    return rows


@pytest.fixture(scope="module")
def several() -> Classifier:
    return Classifier.fit(coloured(100, 0), separator=";", stream=True, epochs=1, **QUICK)


def test_several_labels_are_learned(several: Classifier) -> None:
    result = several.evaluate(coloured(60, 1))
    assert list(result.scores) == ["micro_f1", "macro_f1", "exact_match", "ece"]
    assert list(result.baselines) == ["TF-IDF", "network"]
    assert result.scores["micro_f1"] > 0.9 and result.rows == 60
    lists = {"text": coloured(60, 1)["text"], "label": [c.split("; ") for c in coloured(60, 1)["label"]]}
    lists["label"] = [[name for name in cell if name] for cell in lists["label"]]
    assert several.evaluate(lists) == result
    assert "micro-F1" in str(result)
    assert sorted(several.predict("the red thing is blue")) == ["blue", "red"]
    assert several.predict(["the thing"]) == [[]]
    assert "any number of 4 labels" in several.card().network


def test_a_stream_of_several(several: Classifier) -> None:
    stream = several.stream()
    readings = stream.push("the red thing is blue ")
    assert isinstance(readings[-1].label, list)
    whole = several.predict("the red thing is blue", probabilities=True)
    assert stream.result(probabilities=True) == pytest.approx(whole, abs=1e-5)


def test_several_are_saved(several: Classifier, tmp_path: Path) -> None:
    several.save(tmp_path / "m")
    loaded = elman.load(tmp_path / "m")
    texts = coloured(20, 2)["text"]
    assert loaded.predict(texts, probabilities=True) == several.predict(texts, probabilities=True)
    assert loaded.predict(texts) == several.predict(texts)
    assert loaded.validation == several.validation and loaded.labels == several.labels


@pytest.mark.parametrize("plain", [True, False])
def test_labels_of_the_other_kind_are_refused(several: Classifier, plain: bool, tmp_path: Path) -> None:
    one = several if plain else Classifier.fit(small(), **QUICK, epochs=1)
    one.save(tmp_path)
    files = mutants.read(tmp_path)
    listed = list(one.labels.classes)
    changed = listed if plain else {"labels": listed, "separator": None, "thresholds": {}}
    mutants.write(files | {"labels.json": json.dumps(changed).encode()}, tmp_path)
    with pytest.raises(ArtifactError, match=r"labels\.json and the scores differ in whether a text may have"):
        elman.load(tmp_path)


def test_what_several_labels_refuse(several: Classifier) -> None:
    with pytest.raises(UsageError, match="class_weights is for one label a text"):
        Classifier.fit(coloured(30, 0), separator=";", class_weights="balanced", **QUICK)
    one = Classifier.fit(small(), **QUICK, epochs=1)
    with pytest.raises(UsageError, match="gives each text one label"):
        one.evaluate(small(), separator=";")
