"""The n-gram model against its formula written with dictionaries, and against a published perplexity."""

import math
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import UsageError
from elman.tasks.generate.baseline import NGram

CLOSE = {"rtol": 0, "atol": 1e-12}
START = -1  # stands for the left neighbour of the text's first token

Gram = tuple[int, ...]


def grams(text: list[int], n: int) -> list[Gram]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


class Oracle:
    """Interpolated modified Kneser–Ney, one probability at a time."""

    def __init__(self, text: list[int], words: int, order: int) -> None:
        self.words = words
        self.followers: dict[Gram, dict[int, int]] = defaultdict(dict)
        self.discounts = {}
        for n in range(1, order + 1):
            if n == order:
                counts = Counter(grams(text, n))
            else:
                counts = Counter(gram[1:] for gram in set(grams([START, *text], n + 1)))
            for gram, count in counts.items():
                self.followers[gram[:-1]][gram[-1]] = count
            self.discounts[n] = self.estimate(Counter(counts.values()))

    @staticmethod
    def estimate(n: Counter[int]) -> tuple[float, float, float]:
        if all(n[k] for k in (1, 2, 3, 4)):
            y = n[1] / (n[1] + 2 * n[2])
            estimates = (1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
            if all(d > 0 for d in estimates):
                return estimates
        return 0.5, 1.0, 1.5

    def p(self, word: int, context: Gram) -> float:
        lower = self.p(word, context[1:]) if context else 1 / self.words
        counts = self.followers.get(context, {})
        if not counts:
            return lower
        off = {w: self.discounts[len(context) + 1][min(c, 3) - 1] for w, c in counts.items()}
        kept = counts[word] - off[word] if word in counts else 0.0
        return (kept + math.fsum(off.values()) * lower) / sum(counts.values())

    def log_probs(self, text: list[int]) -> list[float]:
        order = len(self.discounts)
        return [math.log(self.p(text[k], tuple(text[max(0, k - order + 1) : k]))) for k in range(len(text))]


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, list[int], list[int]]:
    """Vocabulary, order, a text to fit and another to score."""
    words = draw(st.integers(2, 6))
    token = st.integers(0, words - 1)
    # A repeated phrase gives the long n-grams counts above 1, which free draws hardly do.
    phrase, times = draw(st.lists(token, max_size=6)), draw(st.integers(1, 5))
    fitted = phrase * times + draw(st.lists(token, max_size=60 - 6 * 5))
    return words, draw(st.integers(1, 5)), fitted, draw(st.lists(token, max_size=20))


@given(cases())
def test_formula(case: tuple[int, int, list[int], list[int]]) -> None:
    words, order, fitted, other = case
    model, oracle = NGram.fit(np.array(fitted, int), words, order), Oracle(fitted, words, order)
    for text in (fitted, other):
        log_probs = model.log_probs(np.array(text, int))
        assert log_probs.dtype == np.float64
        np.testing.assert_allclose(log_probs, oracle.log_probs(text), **CLOSE)


@given(cases(), st.integers(0, 6))
def test_distribution(case: tuple[int, int, list[int], list[int]], width: int) -> None:
    words, order, fitted, other = case
    contexts = grams(fitted, width) + grams(other, width)
    model, oracle = NGram.fit(np.array(fitted, int), words, order), Oracle(fitted, words, order)
    p = model.distribution(np.array(contexts, int).reshape(len(contexts), width))
    assert p.shape == (len(contexts), words)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(1), 1, **CLOSE)
    for context, row in zip(contexts, p, strict=True):
        recent = context[max(0, width - order + 1) :]
        np.testing.assert_allclose(row, [oracle.p(word, recent) for word in range(words)], **CLOSE)


def test_by_hand() -> None:
    alone = NGram.fit(np.array([0, 1, 0]), 2, 1)
    np.testing.assert_allclose(np.exp(alone.log_probs(np.array([0, 1]))), [7 / 12, 5 / 12])
    # The start of the text is a left neighbour of its first token, so both tokens have one.
    pair = NGram.fit(np.array([0, 1]), 2, 2)
    np.testing.assert_allclose(np.exp(pair.log_probs(np.array([0, 1]))), [1 / 2, 3 / 4])


def zipf(size: int, words: int) -> np.ndarray:
    weights = 1 / np.arange(1, words + 1)
    return np.random.default_rng(0).choice(words, size, p=weights / weights.sum())


def test_discounts_are_estimated_from_a_larger_text() -> None:
    text = zipf(3000, 300).tolist()
    oracle = Oracle(text, 300, 3)
    assert all(discounts != (0.5, 1.0, 1.5) for discounts in oracle.discounts.values())
    log_probs = NGram.fit(np.array(text), 300, 3).log_probs(np.array(text))
    np.testing.assert_allclose(log_probs, oracle.log_probs(text), **CLOSE)


def test_distribution_sums_to_1_over_many_words() -> None:
    text = zipf(300_000, 50_000)
    p = NGram.fit(text, 50_000, 4).distribution(text[:60].reshape(20, 3))
    np.testing.assert_allclose(p.sum(1), 1, **CLOSE)


def test_nothing_read_is_the_uniform_distribution() -> None:
    model = NGram.fit(np.array([], int), 4, 3)
    np.testing.assert_allclose(model.log_probs(np.array([3, 0])), -math.log(4))
    np.testing.assert_allclose(model.distribution(np.array([[1, 2]])), 1 / 4)
    assert model.log_probs(np.array([], int)).shape == (0,)


@pytest.mark.parametrize(("kind", "step"), [(np.uint8, 60), (np.int32, 15_000), (np.uint64, 15_000)])
def test_long_ngrams_of_a_large_vocabulary_in_any_integers(kind: type[np.integer], step: int) -> None:
    text = (zipf(400, 5) * step).astype(kind)
    log_probs = NGram.fit(text, 60_001, 9).log_probs(text)
    np.testing.assert_allclose(log_probs, Oracle(text.tolist(), 60_001, 9).log_probs(text.tolist()), **CLOSE)


def test_a_memory_map_is_read_as_an_array(tmp_path: Path) -> None:
    text = zipf(500, 9).astype(np.uint8)
    text.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", np.uint8, "r")
    log_probs = NGram.fit(mapped[400:], 9, 3).log_probs(mapped[400:])
    np.testing.assert_array_equal(log_probs, NGram.fit(text[400:], 9, 3).log_probs(text[400:]))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 5], "must lie in 0..4, but these range from 0 to 5"),
        ([3, -1, 2], "must lie in 0..4, but these range from -1 to 3"),
        ([0.0, 1.0], "must be integers, not float64"),
    ],
)
def test_ids_outside_the_vocabulary(ids: list[float], message: str) -> None:
    model = NGram.fit(np.arange(5), 5, 2)
    for call in (lambda x: NGram.fit(x, 5, 2), model.log_probs, lambda x: model.distribution(x[:, None])):
        with pytest.raises(UsageError, match=message):
            call(np.array(ids))


@pytest.mark.parametrize("wrong", [{"words": 0}, {"order": 0}])
def test_sizes_below_1(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be at least 1"):
        NGram.fit(np.array([], int), **{"words": 3, "order": 2, **wrong})


# Mikolov, "Statistical language models based on neural networks", 2012, table 4.1: KN3 and KN5. His contexts
# stop at the start of a sentence, ours reach across: they differ by about 0.1.
@pytest.mark.parametrize(("order", "perplexity"), [(3, 148.3), (5, 141.2)])
def test_published_perplexity(order: int, perplexity: float) -> None:
    folder = Path(os.environ.get("ELMAN_DATA", ""), "lm", "ptb")
    if not folder.is_dir():
        pytest.skip("set ELMAN_DATA to a folder of public data that holds lm/ptb, the Penn Treebank")
    files = (folder / f"ptb.{part}.txt" for part in ("train", "test"))
    parts = [file.read_text(encoding="utf-8").replace("\n", " <eos> ").split() for file in files]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(parts[0]))}
    train, test = (np.array([numbers[word] for word in part]) for part in parts)
    log_probs = NGram.fit(train, len(numbers), order).log_probs(test)
    assert math.exp(-log_probs.mean()) == pytest.approx(perplexity, abs=0.2)
