"""Scores of language models against the definitions written out."""

import math
from typing import Any

import numpy as np
import pytest

from elman.data.text.vocabulary import Vocabulary
from elman.tasks.generate import scores as scores_module
from elman.tasks.generate.baseline import NGram
from elman.tasks.generate.scores import (
    Keystrokes,
    LanguageEvaluation,
    ngram_nats,
    ngram_scores,
    token_scores,
)

WORDS = Vocabulary("word", (" the", " then", " them", " tea", ".", "The", " sun"))
LETTERS = Vocabulary("character", (" ", "a", "b", "."))


def random_log_probs(count: int, size: int, seed: int = 0) -> np.ndarray[Any, Any]:
    rows = np.random.default_rng(seed).normal(size=(count, size))
    return np.asarray(rows - np.log(np.exp(rows).sum(1, keepdims=True)))


def test_hits_and_nats_by_hand() -> None:
    log_probs = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4], [0.25, 0.2, 0.15, 0.4]]))
    targets = np.array([0, 0, 1])  # the first, the last, the third
    keystrokes = Keystrokes(Vocabulary("character", ("a", "b")))
    chunks = iter([(log_probs[:2], targets[:2]), (log_probs[2:], targets[2:])])
    scores = token_scores(chunks, 3, 6, keystrokes)
    nats = -(math.log(0.5) + math.log(0.1) + math.log(0.2)) / 3
    assert scores["nats"] == pytest.approx(nats) and scores["perplexity"] == pytest.approx(math.exp(nats))
    assert scores["bits"] == pytest.approx(nats * 3 / 6 / math.log(2))
    assert (scores["top1"], scores["top3"]) == (1 / 3, 2 / 3)
    assert scores["saved"] is None


def slow_keys(row: np.ndarray[Any, Any], token: int) -> int:
    """Type letters until the word is among the three likeliest with that prefix, then one key chooses it."""
    words = [w.strip() for w in WORDS.tokens]
    word = words[token - 2]
    for length in range(len(word)):
        rivals = [k for k, other in enumerate(words) if other.startswith(word[:length])]
        better = [k for k in rivals if row[k + 2] > row[token]]
        if len(better) < 3:
            return length + 1
    return len(word) + 1


def test_keystrokes() -> None:
    log_probs = random_log_probs(300, len(WORDS))
    targets = np.random.default_rng(1).integers(0, len(WORDS), 300)
    keys = letters = 0
    for row, token in zip(log_probs, targets.tolist(), strict=True):
        word = WORDS.tokens[token - 2].strip() if token >= 2 else ""
        if word.isalpha():
            keys, letters = keys + slow_keys(row, token), letters + len(word) + 1
    assert Keystrokes(WORDS).count(log_probs, targets) == (keys, letters)
    assert 0 < keys < letters


def test_no_keystrokes_where_tokens_are_not_words() -> None:
    assert Keystrokes(LETTERS).count(random_log_probs(2, 6), np.array([2, 3])) == (0, 0)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_ngrams_scores_are_those_of_its_distributions(order: int) -> None:
    draw = np.random.default_rng(0)
    model = NGram.fit(draw.integers(0, 6, 400), 6, order)
    ids = draw.integers(0, 6, 50)
    scores = ngram_scores(model, ids, 50, Keystrokes(LETTERS))
    assert scores["nats"] == pytest.approx(-model.log_probs(ids)[1:].mean())
    hits = 0
    for k in range(order, 50):  # with the whole context in the text
        row = model.distribution(ids[None, k - order + 1 : k])[0]
        hits += (row > row[ids[k]]).sum() < 1
    assert scores["top1"] is not None and abs(scores["top1"] * 49 - hits) <= order


def test_nats_in_chunks_are_nats_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    model = NGram.fit(draw.integers(0, 6, 400), 6, 3)
    ids = draw.integers(0, 6, 50)
    monkeypatch.setattr(scores_module, "CHUNK_NUMBERS", 7)
    assert ngram_nats(model, ids) == pytest.approx(-model.log_probs(ids)[1:].mean())


NAMES = ("nats", "perplexity", "bits", "top1", "top3", "saved")
OURS = dict(zip(NAMES, (1.0, math.e, 1.4, 0.5, 0.7, 0.4), strict=True))
PLAIN = dict(zip(NAMES, (2.0, math.e**2, 2.8, 0.3, 0.5, 0.2), strict=True))


def evaluation(**changes: Any) -> LanguageEvaluation:
    full = {"scores": OURS, "baselines": {"5-gram": PLAIN}, "tokens": 100, "characters": 400, "kind": "word"}
    return LanguageEvaluation(**(full | {"notes": ("a note",)} | changes))


def test_an_evaluation_prints_and_comes_back() -> None:
    full = evaluation()
    text = str(full)
    assert "5-gram" in text and "keystrokes saved" in text and "Note: a note" in text
    assert "100 tokens (word), 400 characters" in text
    assert LanguageEvaluation.from_dict(full.to_dict()) == full
    bare = evaluation(scores=OURS | {"saved": None}, baselines={}, notes=())
    assert "gram" not in str(bare) and "keystrokes" not in str(bare)
    assert LanguageEvaluation.from_dict(bare.to_dict()) == bare


def test_an_evaluation_of_0_1_0() -> None:
    full = evaluation()
    saved = {k: v for k, v in full.to_dict().items() if k != "baselines"} | {"baseline": PLAIN, "order": 5}
    assert LanguageEvaluation.from_dict(saved) == full
    bare = LanguageEvaluation.from_dict(saved | {"baseline": None, "order": 0})
    assert bare == evaluation(baselines={})
