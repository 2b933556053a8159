"""A classifier of few labelled film reviews, started from a language model of 12,000 reviews, and one of the
same settings started from nothing; on 1,000 of the official test reviews.

    ELMAN_DATA=... python bench/quality.py pretrained
    ELMAN_DATA=... python bench/quality_pretrained.py runs/lm 1 200 500    # a saved model; draws; sizes
"""

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import elman
from quality_text import imdb

SIZES: Final = (200, 500, 1000)
DRAWS: Final = 3  # of the labelled reviews
UNLABELLED, TESTED = 12_000, 1000
LANGUAGE: Final[dict[str, Any]] = {
    "tokenizer": "word",
    "vocabulary": 30_000,
    "hidden": 256,
    "bptt": 64,
    "epochs": 1,
}
SETTINGS: Final[dict[str, Any]] = {"networks": 1, "crop": 200}
Rows = dict[str, list[str]]


def drawn(rows: Rows, count: int, seed: int) -> Rows:
    """Return some of the reviews, without the tag that a language model reads as words."""
    places = random.Random(seed).sample(range(len(rows["text"])), count)
    texts = [rows["text"][i].replace("<br />", " ") for i in places]
    return {"text": texts, "label": [rows["label"][i] for i in places]}


def pretrained(
    start: Any = None, sizes: Sequence[int] = SIZES, draws: int = DRAWS, **settings: Any
) -> dict[str, Any]:
    """Return the mean accuracies of the whole and of its parts for each size, and seconds."""
    train, test, _ = imdb()
    if start is None:
        texts = {"text": drawn(train, UNLABELLED, 0)["text"]}
        start = elman.LanguageModel.fit(texts, text="text", **LANGUAGE)
    tested, results = drawn(test, TESTED, 7), dict[str, Any]()
    for size in sizes:
        for name, model in (("pretrained", start), ("from scratch", None)):
            rows = [_scores(drawn(train, size, 100 + k), tested, model, settings) for k in range(draws)]
            means = {key: round(sum(row[key] for row in rows) / draws, 4) for key in rows[0]}
            results[f"{size} {name}"] = means
            print(json.dumps({f"{size} {name}": means}), flush=True)
    return {
        "score": results[f"{sizes[0]} pretrained"]["whole"],
        "baseline": results[f"{sizes[0]} from scratch"]["whole"],
        "perplexity": start.validation.scores["perplexity"],
        "sizes": results,
    }


def _scores(rows: Rows, tested: Rows, start: Any, settings: dict[str, Any]) -> dict[str, float]:
    begun = time.perf_counter()
    model = elman.Classifier.fit(rows, pretrained=start, **SETTINGS | settings)
    seconds = time.perf_counter() - begun
    scores = model.evaluate(tested)
    parts = {part: values["accuracy"] for part, values in scores.baselines.items()}
    return {"whole": scores.scores["accuracy"], **parts, "seconds": seconds}


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"pretrained": pretrained}

if __name__ == "__main__":
    folder, *counts = sys.argv[1:]
    draws, *sizes = map(int, counts or [DRAWS])
    print(json.dumps(pretrained(elman.load(folder), sizes or SIZES, draws)))
