"""Next words against all that can be spelled."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elman import decode
from elman.data.text.vocabulary import END, Vocabulary
from elman.stepping import driven
from elman.tasks.generate.next_words import completed, spelled, trailing_word

WORDS = Vocabulary("word", (" the", " then", " them", " tea", ".", "The", " sun"))
LETTERS = Vocabulary("character", (" ", "a", "b", "."))


def random_log_probs(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, size))).log_softmax(1)


def test_words_with_a_prefix() -> None:
    log_probs = random_log_probs(1, len(WORDS))[0]
    p = log_probs.exp().tolist()
    by_word = {"the": p[2], "then": p[3], "them": p[4], "tea": p[5], ".": p[6], "The": p[7], "sun": p[8]}
    for begun in ("", "the", "th", "S", "sun"):
        matching = {w: v for w, v in by_word.items() if w.startswith(begun)}
        ordered = sorted(matching.items(), key=lambda item: -item[1])[:3]
        expected = [(w, pytest.approx(v / sum(matching.values()))) for w, v in ordered]
        assert completed(log_probs.numpy(), WORDS, begun, 3) == expected


def chain(seed: int) -> decode.Model:
    """A Markov chain over LETTERS and the two reserved tokens."""
    rows = random_log_probs(6, 6, seed)
    rows[:, :2] = -30.0
    rows = rows.log_softmax(1)

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return rows[tokens], state

    return decode.Model(step, lambda state, _: state)


def slow_words(model: decode.Model, last: int, begun: str) -> dict[str, float]:
    """Every spelling of up to 9 tokens and its end, by the definition."""
    rows = model.step(torch.arange(6), None)[0].exp().tolist()
    text = {2: " ", 3: "a", 4: "b", 5: "."}
    words: dict[str, float] = {}

    def extend(token: int, word: str, p: float, depth: int) -> None:
        for following, symbol in text.items():
            q = p * rows[token][following]
            inside = bool(word) or bool(begun)
            if symbol.isalpha():
                if depth < 9:
                    extend(following, word + symbol, q, depth + 1)
            elif inside:
                words[begun + word] = words.get(begun + word, 0.0) + q
            elif symbol == ".":
                words["."] = words.get(".", 0.0) + q
            elif depth < 9:
                extend(following, word, q, depth + 1)

    extend(last, "", 1.0, 0)
    return words


@pytest.mark.parametrize(("seed", "begun"), list(itertools.product(range(4), ("", "ab"))))
def test_spelled_words(seed: int, begun: str) -> None:
    model = chain(seed)
    last = 4 if begun else END
    steps = spelled(model.select, LETTERS, last, None, begun, 4)
    words = driven(steps, lambda request: model.step(torch.tensor(request[0]), request[1]))
    best = sorted(slow_words(model, last, begun).items(), key=lambda item: -item[1])[:4]
    assert [w for w, _ in words] == [w for w, _ in best]
    for (_, p), (_, q) in zip(words, best, strict=True):
        assert p == pytest.approx(q, rel=0.05)  # neither follows every prefix to its end


@pytest.mark.parametrize(
    ("text", "word"),
    [("I lo", "lo"), ("don’t", "don’t"), ("tea. ", ""), ("a well-kn", "well-kn"), ("", ""), ("नमस्ते", "नमस्ते")],
)
def test_trailing_word(text: str, word: str) -> None:
    assert trailing_word(text) == word


@given(st.lists(st.text("ab ", min_size=1, max_size=3), min_size=1, max_size=30, unique=True), st.data())
def test_words_are_completed_as_one_by_one(tokens: list[str], data: st.DataObject) -> None:
    vocabulary = Vocabulary("word", tuple(tokens))
    # few values, so that many are as likely
    scores = data.draw(st.lists(st.integers(0, 3), min_size=len(vocabulary), max_size=len(vocabulary)))
    begun, count = data.draw(st.sampled_from(["", "a", "ab"])), data.draw(st.integers(1, 6))
    log_probs = torch.tensor(scores, dtype=torch.float32).log_softmax(0)
    words: dict[str, float] = {}
    for token, p in enumerate(log_probs.exp().tolist()[2:], 2):
        word = vocabulary.decode([token]).strip()
        if word and word.startswith(begun):
            words[word] = words.get(word, 0.0) + p
    total = sum(words.values()) or 1.0
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:count]
    expected = [(word, pytest.approx(p / total)) for word, p in ordered]
    assert completed(log_probs.numpy() + 3.0, vocabulary, begun, count) == expected
