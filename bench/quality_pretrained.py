"""A classifier of few labelled film reviews, started from a language model of 12,000 unlabelled reviews and
started from nothing, on 1,000 of the official test reviews. Three draws of the labelled reviews.

    ELMAN_DATA=... python bench/quality.py pretrained
    ELMAN_DATA=... python bench/quality_pretrained.py runs/lm 500    # with a saved language model, one size
"""

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import elman
from quality_text import imdb

SIZES: Final = (200, 500, 1000, 2400)
DRAWS: Final = 3
UNLABELLED, TESTED = 12_000, 1000
LANGUAGE: Final[dict[str, Any]] = {
    "tokenizer": "word",
    "vocabulary": 30_000,
    "hidden": 256,
    "embedding": 128,
    "bptt": 64,
    "epochs": 1,
    "validations": 8,
    "keep_baseline": False,
}
Rows = dict[str, list[str]]


def _drawn(rows: Rows, count: int, seed: int) -> Rows:
    places = random.Random(seed).sample(range(len(rows["text"])), count)
    # a language model would read the tag as four words
    texts = [rows["text"][i].replace("<br />", " ") for i in places]
    return {"text": texts, "label": [rows["label"][i] for i in places]}


def language(train: Rows) -> tuple[Any, float]:
    """Train a language model on reviews; return it and the seconds that it took."""
    start = time.perf_counter()
    texts = {"text": _drawn(train, UNLABELLED, 0)["text"]}
    model = elman.LanguageModel.fit(texts, text="text", **LANGUAGE)
    return model, time.perf_counter() - start


def pretrained(model: Any = None, sizes: Sequence[int] = SIZES, **settings: Any) -> dict[str, Any]:
    """Return the accuracies of the whole and of its parts for each size, a list of the draws'."""
    train, test, _ = imdb()
    seconds = 0.0
    if model is None:
        model, seconds = language(train)
    tested = _drawn(test, TESTED, 7)
    results: dict[str, Any] = {}
    for size in sizes:
        for name, start in (("pretrained", model), ("from scratch", None)):
            rows = results.setdefault(f"{size} {name}", [])
            for seed in range(DRAWS):
                begun = time.perf_counter()
                fitted = elman.Classifier.fit(
                    _drawn(train, size, 100 + seed), pretrained=start, seed=seed, **settings
                )
                took = time.perf_counter() - begun
                scores = fitted.evaluate(tested)
                parts = {part: values["accuracy"] for part, values in scores.baselines.items()}
                rows.append({"whole": scores.scores["accuracy"], **parts, "seconds": round(took, 1)})

    def mean(name: str) -> float:
        return sum(row["whole"] for row in results[f"{sizes[0]} {name}"]) / DRAWS

    of_model = {"nats": model.validation.scores["nats"], "seconds": round(seconds, 1)}
    return {
        "score": mean("pretrained"),
        "baseline": mean("from scratch"),
        "language model": of_model,
        "sizes": results,
    }


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"pretrained": pretrained}

if __name__ == "__main__":
    folder, *counts = sys.argv[1:]
    print(json.dumps(pretrained(elman.load(folder), [int(count) for count in counts] or SIZES)))
