"""Scores of language models against the definitions written out; next words against all that can be spelt."""

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elman import decode
from elman.data.text.vocabulary import END, Vocabulary
from elman.tasks.generate import scores as generate_scores
from elman.tasks.generate.baseline import NGram
from elman.tasks.generate.next_words import completed, spelt
from elman.tasks.generate.scores import Evaluation, Prefixes, Scores, _of_ngram, _scores

WORDS = Vocabulary("word", (" the", " then", " them", " tea", ".", "The", " sun"))
LETTERS = Vocabulary("character", (" ", "a", "b", "."))


def logs_of(count: int, size: int, seed: int = 0) -> np.ndarray[Any, Any]:
    rows = np.random.default_rng(seed).normal(size=(count, size))
    return np.asarray(rows - np.log(np.exp(rows).sum(1, keepdims=True)))


def test_hits_and_nats_by_hand() -> None:
    logs = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4], [0.25, 0.2, 0.15, 0.4]]))
    wanted = np.array([0, 0, 1])  # the first, the last, the third
    prefixes = Prefixes(Vocabulary("character", ("a", "b")))
    found = _scores(iter([(logs[:2], wanted[:2]), (logs[2:], wanted[2:])]), 3, 6, prefixes)
    nats = -(math.log(0.5) + math.log(0.1) + math.log(0.2)) / 3
    assert found.nats == pytest.approx(nats) and found.perplexity == pytest.approx(math.exp(nats))
    assert found.bits == pytest.approx(nats * 3 / 6 / math.log(2))
    assert (found.top1, found.top3) == (1 / 3, 2 / 3)
    assert found.saved is None


def slow_keys(row: np.ndarray[Any, Any], token: int) -> int:
    """Type letters until the word is among the three likeliest that begin so, then one key takes it."""
    words = [w.strip() for w in WORDS.tokens]
    word = words[token - 2]
    for length in range(len(word)):
        rivals = [k for k, other in enumerate(words) if other.startswith(word[:length])]
        better = [k for k in rivals if row[k + 2] > row[token]]
        if len(better) < 3:
            return length + 1
    return len(word) + 1


def test_keystrokes() -> None:
    prefixes = Prefixes(WORDS)
    logs = logs_of(300, len(WORDS))
    wanted = np.random.default_rng(1).integers(0, len(WORDS), 300)
    keys = letters = 0
    for row, token in zip(logs, wanted.tolist(), strict=True):
        word = WORDS.tokens[token - 2].strip() if token >= 2 else ""
        if word.isalpha():
            keys, letters = keys + slow_keys(row, token), letters + len(word) + 1
    assert prefixes.typed(logs, wanted) == (keys, letters)
    assert 0 < keys < letters


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_ngrams_scores_are_those_of_its_distributions(order: int) -> None:
    draw = np.random.default_rng(0)
    model = NGram.fit(draw.integers(0, 6, 400), 6, order)
    ids = draw.integers(0, 6, 50)
    found = _of_ngram(model, ids, 50, Prefixes(LETTERS))
    assert found.nats == pytest.approx(-model.log_probs(ids)[1:].mean())
    hits = 0
    for k in range(order, 50):  # where the whole context lies in the text
        row = model.distribution(ids[None, k - order + 1 : k])[0]
        hits += (row > row[ids[k]]).sum() < 1
    assert abs(found.top1 * 49 - hits) <= order


def test_nats_in_pieces_are_nats_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    model = NGram.fit(draw.integers(0, 6, 400), 6, 3)
    ids = draw.integers(0, 6, 50)
    monkeypatch.setattr(generate_scores, "AT_ONCE", 7)
    assert generate_scores._ngram_nats(model, ids) == pytest.approx(-model.log_probs(ids)[1:].mean())


def test_an_evaluation_prints_and_comes_back() -> None:
    ours, plain = Scores(1.0, math.e, 1.4, 0.5, 0.7, 0.4), Scores(2.0, math.e**2, 2.8, 0.3, 0.5, 0.2)
    full = Evaluation(ours, plain, 5, 100, 400, "word", ("a note",))
    text = str(full)
    assert "5-gram" in text and "keystrokes saved" in text and "Note: a note" in text
    assert Evaluation.from_dict(full.to_dict()) == full
    bare = Evaluation(Scores(1.0, math.e, 1.4, 0.5, 0.7, None), None, 0, 100, 100, "character")
    assert "gram" not in str(bare) and "keystrokes" not in str(bare)
    assert Evaluation.from_dict(bare.to_dict()) == bare


# ---- next words


def test_words_that_begin_so() -> None:
    logs = torch.from_numpy(logs_of(1, len(WORDS)))[0]
    p = logs.exp().tolist()
    by_word = {"the": p[2], "then": p[3], "them": p[4], "tea": p[5], ".": p[6], "The": p[7], "sun": p[8]}
    for begun in ("", "the", "th", "S", "sun"):
        there = {w: v for w, v in by_word.items() if w.startswith(begun)}
        ordered = sorted(there.items(), key=lambda item: -item[1])[:3]
        wanted = [(w, pytest.approx(v / sum(there.values()))) for w, v in ordered]
        assert completed(logs, WORDS, begun, 3) == wanted


def chain(seed: int) -> decode.Model:
    """A Markov chain over LETTERS and the two reserved tokens."""
    rows = torch.from_numpy(logs_of(6, 6, seed))
    rows[:, :2] = -30.0
    rows = rows.log_softmax(1)

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return rows[tokens], state

    return decode.Model(step, lambda state, _: state)


def slow_words(model: decode.Model, last: int, begun: str) -> dict[str, float]:
    """Every spelling of up to 9 tokens and what ends it, by the definition."""
    rows = model.step(torch.arange(6), None)[0].exp().tolist()
    text = {2: " ", 3: "a", 4: "b", 5: "."}
    found: dict[str, float] = {}

    def go(token: int, word: str, p: float, depth: int) -> None:
        for following, symbol in text.items():
            q = p * rows[token][following]
            inside = bool(word) or bool(begun)
            if symbol.isalpha():
                if depth < 9:
                    go(following, word + symbol, q, depth + 1)
            elif inside:
                found[begun + word] = found.get(begun + word, 0.0) + q
            elif symbol == ".":
                found["."] = found.get(".", 0.0) + q
            elif depth < 9:
                go(following, word, q, depth + 1)

    go(last, "", 1.0, 0)
    return found


@pytest.mark.parametrize(("seed", "begun"), list(itertools.product(range(4), ("", "ab"))))
def test_spelt_words(seed: int, begun: str) -> None:
    model = chain(seed)
    last = 4 if begun else END
    found = spelt(model, LETTERS, last, None, begun, 4)
    slow = slow_words(model, last, begun)
    best = sorted(slow.items(), key=lambda item: -item[1])[:4]
    assert [w for w, _ in found] == [w for w, _ in best]
    for (_, p), (_, q) in zip(found, best, strict=True):
        assert p == pytest.approx(q, rel=0.05)  # what neither follows to its end


def test_prefixes_of_other_kinds_know_no_words() -> None:
    assert Prefixes(SimpleNamespace(kind="subword")).typed(logs_of(2, 5), np.array([2, 3])) == (0, 0)
