"""Retrieval against tf-idf written out over dense vectors."""

import math
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import UsageError
from elman.tasks.chat.baseline import Retrieval, words

texts = st.lists(st.sampled_from(["a", "A,", "b", "c", "d", "e", "f.", "g!"]), max_size=6).map(" ".join)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=12)


class Oracle:
    """Cosines with every text of a corpus, one text at a time, over all its words."""

    def __init__(self, corpus: list[str]) -> None:
        self.corpus = [self.cut(text) for text in corpus]
        self.known = sorted({word for text in self.corpus for word in text})

    @staticmethod
    def cut(text: str) -> list[str]:
        return [word.strip(",.!").lower() for word in text.split()]

    def vector(self, text: list[str]) -> np.ndarray:
        weights = np.zeros(len(self.known))
        for place, word in enumerate(self.known):
            if word in text:
                documents = sum(word in other for other in self.corpus)
                idf = 1 + math.log(len(self.corpus) / documents)
                weights[place] = (1 + math.log(text.count(word))) * idf
        return weights / np.linalg.norm(weights) if weights.any() else weights

    def cosine(self, one: str, other: str) -> float:
        return float(self.vector(self.cut(one)) @ self.vector(self.cut(other)))


@given(pairs, texts, st.integers(1, 15))
def test_nearest(corpus: list[tuple[str, str]], context: str, count: int) -> None:
    contexts, replies = map(list, zip(*corpus, strict=True))
    nearest = Retrieval.fit(contexts, replies).nearest(context, count)
    oracle = Oracle(contexts)
    cosines = [round(oracle.cosine(context, other), 12) for other in contexts]
    order = sorted((k for k in range(len(corpus)) if cosines[k]), key=lambda k: (-cosines[k], k))
    expected = [(replies[k], cosines[k]) for k in order[:count]]
    if not expected:
        expected = [(reply, 0) for reply, _ in Counter(replies).most_common(count)]
    assert [reply for reply, _ in nearest] == [reply for reply, _ in expected]
    np.testing.assert_allclose([s for _, s in nearest], [s for _, s in expected], rtol=0, atol=1e-11)
    assert all(0 <= similarity <= 1 for _, similarity in nearest)


@given(pairs, texts, st.lists(texts, max_size=5))
def test_rank(corpus: list[tuple[str, str]], context: str, candidates: list[str]) -> None:
    contexts, replies = map(list, zip(*corpus, strict=True))
    model, oracle = Retrieval.fit(contexts, replies), Oracle(replies)
    ((reply, _),) = model.nearest(context)
    expected = [oracle.cosine(reply, candidate) for candidate in candidates]
    np.testing.assert_allclose(model.rank(context, candidates), expected, rtol=0, atol=1e-11)


def test_by_hand() -> None:
    model = Retrieval.fit(["a b", "a c c", "c"], ["first", "second", "third"])
    a = c = 1 + math.log(3 / 2)
    twice = (1 + math.log(2)) * c
    assert model.nearest("C?", 3) == [("third", 1.0), ("second", pytest.approx(twice / math.hypot(a, twice)))]
    assert model.rank("c", ["third", "no word of it", "The third."]) == [1, 0, 1]


def test_the_earlier_of_equals_comes_first() -> None:
    model = Retrieval.fit(["x", "a b", "b a", "a, B!"], ["0", "1", "2", "3"])
    assert model.nearest("b a", 2) == [("1", 1), ("2", 1)]


def test_no_known_word_gets_the_commonest_reply() -> None:
    model = Retrieval.fit(["a", "b", "c", ""], ["one", "two", "two", "one"])
    assert model.nearest("zebra") == model.nearest("") == model.nearest("…") == [("one", 0)]
    assert model.nearest("zebra", 9) == [("one", 0), ("two", 0)]
    assert Retrieval.fit(["", "?"], ["one", "two"]).nearest("a") == [("one", 0)]


def test_kept_pairs_are_spread_evenly() -> None:
    numbers = [str(k) for k in range(10)]
    model = Retrieval.fit(numbers, [f"re {k}" for k in numbers], max_pairs=4)
    assert (model.contexts, model.replies) == (["0", "2", "5", "7"], ["re 0", "re 2", "re 5", "re 7"])
    again = Retrieval.fit(model.contexts, model.replies, max_pairs=4)
    assert again.contexts == model.contexts


def test_words() -> None:
    assert words("Don't — say É2, «Я»…") == ["don", "t", "say", "é2", "я"]
    assert words(" ?! ") == []


def test_many_contexts_are_searched_at_once() -> None:
    draw = np.random.default_rng(0)
    vocabulary = np.array([f"w{k}" for k in range(5000)])
    p = 1 / np.arange(1, 5001)
    contexts = [" ".join(row) for row in draw.choice(vocabulary, (80_000, 12), p=p / p.sum())]
    model = Retrieval.fit(contexts, contexts)
    times = []
    for row in range(0, 80_000, 8000):
        start = time.process_time()
        ((reply, similarity),) = model.nearest(contexts[row])
        times.append(time.process_time() - start)
        assert sorted(words(reply)) == sorted(words(contexts[row])) and similarity == 1
    assert min(times) < 0.02


@pytest.mark.parametrize(
    ("contexts", "replies", "max_pairs", "message"),
    [
        (["a"], [], 9, "not 1 and 0 with max_pairs=9"),
        ([], [], 9, "not 0 and 0 with max_pairs=9"),
        (["a"], ["b"], 0, "not 1 and 1 with max_pairs=0"),
    ],
)
def test_wrong_pairs(contexts: list[str], replies: list[str], max_pairs: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Retrieval.fit(contexts, replies, max_pairs)


def test_count_below_1() -> None:
    with pytest.raises(UsageError, match="count must be at least 1, not 0"):
        Retrieval.fit(["a"], ["b"]).nearest("a", 0)


@given(pairs, texts, st.lists(texts, max_size=5), st.integers(1, 5), st.booleans())
def test_support(
    corpus: list[tuple[str, str]], context: str, candidates: list[str], count: int, known: bool
) -> None:
    contexts, replies = map(list, zip(*corpus, strict=True))
    retrieval = Retrieval.fit(contexts, replies)
    oracle = Oracle(replies)
    expected = []
    for one in candidates:
        near = retrieval.nearest(context, 100)
        alike = [words(reply) == words(one) for reply, _ in near]
        exact = (reply for text, reply in corpus if words(text) == words(context))
        same = Counter(" ".join(words(reply)) for reply in exact if known)
        if True in alike:
            del near[alike.index(True)]
        likeness = [cosine * oracle.cosine(reply, one) for reply, cosine in near[:count]]
        times = same[" ".join(words(one))]
        expected.append(max([times and times / math.hypot(*same.values()), *likeness]))
    support = retrieval.support(context, candidates, count, known)
    np.testing.assert_allclose(support, expected, rtol=0, atol=1e-11)


def test_a_training_reply_does_not_speak_for_itself() -> None:
    questions = ["where is the bank", "where is the station", "where is the museum"]
    retrieval = Retrieval.fit(
        [*questions, "how are you"], ["round the corner", "far away", "far away", "fine"]
    )
    asked = ["round the corner", "far away", "fine"]
    alone, seconded, other = retrieval.support("where is the school", asked)
    assert alone == other == 0 and seconded > 0.3
    assert retrieval.support("Where is the bank?", asked)[0] == 1  # known
    assert retrieval.support("Where is the bank?", asked, known=False)[0] == 0


def test_words_are_those_of_training_replies_and_of_the_context() -> None:
    retrieval = Retrieval.fit(["who are you"], ["I'm a robot."])
    for reply in ("A robot?", "I am 27, Zoe!", "…"):
        assert retrieval.has_words_of(reply, ["Am I Zoe?"])
    for reply in ("A robbit?", "You, a robot.", "I am Zoe"):  # contexts of the training count for nothing
        assert not retrieval.has_words_of(reply, [])
