"""Small tables of texts and labels for the tests of classification."""

import random
from typing import Any

FILLERS = ["the", "film", "plot", "was", "day", "we", "saw", "it"]
QUICK: dict[str, Any] = {"hidden": 12, "embedding": 12, "networks": 2, "progress": False, "device": "cpu"}
Rows = list[dict[str, str]]


def order_matters(count: int, seed: int = 0) -> Rows:
    """ "... not good ... bad" is bad and "... not bad ... good" is good: the same words, in another order."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        label, other = draw.sample(["good", "bad"], 2)
        words = draw.choices(FILLERS, k=draw.randint(1, 8))
        first = draw.randint(0, len(words))
        second = draw.randint(first, len(words))
        words = [*words[:first], "not", other, *words[first:second], label, *words[second:]]
        rows.append({"text": " ".join(words), "label": label})
    return rows


def rows_of(texts: list[str], labels: list[str]) -> Rows:
    return [{"text": t, "label": y} for t, y in zip(texts, labels, strict=True)]


def small(count: int = 24) -> Rows:
    texts = [f"word{i % 4} and word{i % 3} number{i}" for i in range(count)]
    return rows_of(texts, ["a", "b"] * (count // 2))
