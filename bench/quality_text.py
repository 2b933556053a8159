"""Text classification on public data (variable ELMAN_DATA), through the public API with its default settings,
beside two linear models of scikit-learn that are fitted by cross-validation in the same run.

The test set is scored once, at the end. The best network is chosen on a held-out tenth of the training texts
or, for SST-2, on the official validation sentences.

    ELMAN_DATA=... python bench/quality_text.py                 # all sets, and a summary
    ELMAN_DATA=... python bench/quality_text.py sst2 trec6
"""

import csv
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

import elman
from elman.tasks.classify.scores import calibration_error, label_scores
from text_rivals import RIVALS


class Texts(NamedTuple):
    """Texts and labels to train on, to choose on (None: a part of the former) and to test on."""

    train: dict[str, list[str]]
    test: dict[str, list[str]]
    valid: dict[str, list[str]] | None = None


def imdb() -> Texts:
    """25,000 / 25,000 film reviews (Maas et al., ACL 2011). The star rating is not an input."""
    folder = _data("sentiment/imdb")
    return Texts(*(_table(folder / f"{part}.tsv", "text", "label") for part in ("train", "test")))


def sst2() -> Texts:
    """6,920 / 872 / 1,821 sentences (Socher et al., EMNLP 2013), no pretrained vectors."""
    folder = _data("sentiment/sst2")
    return Texts(*(_table(folder / f"{part}.tsv", 0, 1) for part in ("train", "test", "dev")))


def vader() -> Texts:
    """4,200 tweets, a fifth for the test, in three classes by their mean rating (Hutto, Gilbert 2014)."""
    file = _data("sentiment/vader_icwsm2014") / "tweets_GroundTruth.txt"
    rows = [line.split("\t", 2) for line in file.read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(rows)
    names = ["neutral", "positive", "negative"]
    labels = [names[(float(score) >= 0.5) - (float(score) <= -0.5)] for _, score, _ in rows]
    texts, cut = [text for *_, text in rows], len(rows) * 4 // 5
    return Texts({"text": texts[:cut], "label": labels[:cut]}, {"text": texts[cut:], "label": labels[cut:]})


def _csv(folder: str, label: str) -> Texts:
    return Texts(*(_table(_data(folder) / f"{part}.csv", "text", label) for part in ("train", "test")))


SETS: Final[dict[str, Callable[[], Texts]]] = {
    "customer_reviews": partial(_csv, "sentiment/customer_reviews", "label"),
    "vader": vader,
    "trec6": partial(_csv, "intent/trec", "label"),
    "trec50": partial(_csv, "intent/trec", "fine"),
    "sst2": sst2,
    "banking77": partial(_csv, "intent/banking77", "category"),
    "imdb": imdb,
}


def _data(part: str) -> Path:
    root = os.environ.get("ELMAN_DATA")
    if not root or not (Path(root) / part).is_dir():
        sys.exit(f"set ELMAN_DATA to the folder that holds {part}")
    return Path(root) / part


def _table(path: Path, text: str | int, label: str | int) -> dict[str, list[str]]:
    """Read the columns of a table; columns with numbers mean that no line names them."""
    quoting = csv.QUOTE_NONE if path.suffix == ".tsv" else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[Any] = list(
            csv.reader(file, delimiter="," if path.suffix == ".csv" else "\t", quoting=quoting)
        )
    names = rows.pop(0) if isinstance(text, str) else [*range(len(rows[0]))]
    columns = {"text": names.index(text), "label": names.index(label)}
    return {name: [row[place] for row in rows] for name, place in columns.items()}


def measure(name: str, **settings: Any) -> dict[str, Any]:
    """Train on a set with default settings and score on its test texts, beside its parts and the rivals."""
    texts = SETS[name]()
    start = time.perf_counter()
    model = elman.Classifier.fit(texts.train, valid=texts.valid, **settings)
    seconds = time.perf_counter() - start
    result = model.evaluate(texts.test)
    scored = time.perf_counter() - start - seconds
    columns = {"elman": result.scores | {"seconds": round(seconds, 1)}} | result.baselines
    classes = [*model.classes]
    labels = torch.tensor([classes.index(label) for label in texts.test["label"]])
    for rival, fit in RIVALS.items():
        start = time.perf_counter()
        fitted = fit(texts.train["text"], texts.train["label"])
        rows = torch.from_numpy(fitted.predict_proba(texts.test["text"]))
        places = [classes.index(label) for label in fitted.classes_]
        rows = torch.zeros(len(rows), len(classes), dtype=rows.dtype).index_copy_(
            1, torch.tensor(places), rows
        )
        took = {"seconds": round(time.perf_counter() - start, 1)}
        columns[rival] = {**label_scores(rows, labels), "ece": calibration_error(rows, labels), **took}
    return {
        "score": result.scores["accuracy"],
        "baseline": max(columns[rival]["accuracy"] for rival in RIVALS),
        "columns": columns,
        "seconds of scoring": round(scored, 1),
        "blend": None if model.blend is None else model.blend._asdict(),
        "validation": model.validation.scores,
        "settings": asdict(model.settings),
        "notes": list(result.notes),
    }


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {name: partial(measure, name) for name in SETS}


def summary(results: dict[str, dict[str, Any]]) -> str:
    """Return one line: how far ahead of the better rival, on average over the sets, and the worst ECE."""
    leads = {}
    for key in ("accuracy", "macro_f1"):
        gaps = []
        for result in results.values():
            columns = result["columns"]
            gaps.append(100 * (columns["elman"][key] - max(columns[rival][key] for rival in RIVALS)))
        leads[key] = f"{sum(gaps) / len(gaps):+.2f} (least {min(gaps):+.2f})"
    worst = max(result["columns"]["elman"]["ece"] for result in results.values())
    points = f"points ahead of the better rival: accuracy {leads['accuracy']}, macro-F1 {leads['macro_f1']}"
    return f"{len(results)} sets; {points}; largest calibration error {worst:.3f}"


if __name__ == "__main__":
    results = {}
    for name in sys.argv[1:] or RUNS:
        results[name] = RUNS[name]()
        print(json.dumps({name: results[name]}), flush=True)
    print(summary(results))
