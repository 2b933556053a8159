"""IBM model 1 against its definition written with dicts, and word-for-word translation."""

import json
import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ArtifactError, UsageError
from elman.tasks.translate import baseline
from elman.tasks.translate.baseline import WordDictionary, _Links, _Side

HOUSES = (["das Haus", "das Buch", "ein Buch"], ["the house", "the book", "a book"])
Pairs = list[tuple[list[str], list[str]]]
sentences = st.lists(st.sampled_from("abcd"), max_size=5)
corpora = st.lists(st.tuples(sentences, sentences), max_size=6)


def slow(pairs: Pairs, rounds: int) -> tuple[dict[tuple[str, str], float], list[float]]:
    """Return t after rounds of EM, link by link, and ln p before each; "" is NULL."""
    words = {e for _, target in pairs for e in target}
    t: dict[tuple[str, str], float] = defaultdict(lambda: 1 / len(words))
    nats = []
    for _ in range(rounds):
        counts: Counter[tuple[str, str]] = Counter()
        total = 0.0
        for source, target in pairs:
            for e in target:
                mass = sum(t[f, e] for f in ["", *source])
                total += math.log(mass / (len(source) + 1))
                for f in ["", *source]:
                    counts[f, e] += t[f, e] / mass
        totals: Counter[str] = Counter()
        for (f, _), count in counts.items():
            totals[f] += count
        t = defaultdict(float, {(f, e): count / totals[f] for (f, e), count in counts.items()})
        nats.append(total)
    return dict(t), nats


def learned(pairs: Pairs, rounds: int) -> tuple[dict[tuple[str, str], float], list[float]]:
    sources = _Side.of((" ".join(f) for f, _ in pairs), null=True)
    targets = _Side.of(" ".join(e) for _, e in pairs)
    links, nats = _Links.of(sources, targets), []
    t = links.uniform()
    for _ in range(rounds):
        t, log_likelihood = links.em_round(t)
        nats.append(log_likelihood)
    f, e = list(sources.numbers), list(targets.numbers)
    rows = zip(links.source, links.target, t, strict=True)
    return {(f[i], e[j]): float(p) for i, j, p in rows}, nats


@given(corpora, st.integers(1, 6))
def test_em_is_the_slow_em(pairs: Pairs, rounds: int) -> None:
    t, nats = learned(pairs, rounds)
    slow_t, slow_nats = slow(pairs, rounds)
    assert t == pytest.approx(slow_t, rel=1e-9, abs=1e-300)
    assert nats == pytest.approx(slow_nats, rel=1e-9, abs=1e-12)


@given(corpora)
def test_the_likelihood_never_falls(pairs: Pairs) -> None:
    _, nats = learned(pairs, 20)
    assert all(later >= sooner - 1e-9 for sooner, later in pairwise(nats))


@given(corpora)
def test_each_source_word_has_one_translation_that_no_other_beats(pairs: Pairs) -> None:
    source, target = ([" ".join(row[k]) for row in pairs] for k in (0, 1))
    words = WordDictionary.fit(source, target, rounds=3).words
    t, _ = slow(pairs, 3)
    assert set(words) == {f for f, _ in t} - {""}
    for f, e in words.items():
        top = max(p for (word, _), p in t.items() if word == f)
        rivals = [e for (word, e), p in t.items() if word == f and p > top * (1 - 1e-9)]
        if e:
            assert e in rivals and t["", e] <= t[f, e] * (1 + 1e-9)
        else:
            assert any(t["", rival] > t[f, rival] * (1 - 1e-9) for rival in rivals)


def test_a_corpus_with_one_answer() -> None:
    dictionary = WordDictionary.fit(*HOUSES, rounds=20)
    assert {f: e for f, e in dictionary.words.items() if f in ("haus", "ein")} == {
        "haus": "house",
        "ein": "a",
    }
    assert dictionary.words["das"] == "the" and dictionary.words["buch"] == "book"
    assert dictionary.translate("Ein Haus") == "A house"
    assert dictionary.translate("das Pferd.") == "the Pferd."


def test_one_pair_of_words_is_certain() -> None:
    assert learned([(["a"], ["b"])], 3)[0] == pytest.approx({("", "b"): 1.0, ("a", "b"): 1.0})


def test_nothing_to_learn_from() -> None:
    for source, target in (([], []), ([""], [""]), (["a b"], [""]), ([""], ["x"])):
        dictionary = WordDictionary.fit(source, target)
        assert dictionary.words == {}
        assert dictionary.translate("A b, (c)!") == "A b, (c)!" and dictionary.translate("") == ""


def test_words_that_nothing_makes_are_left_out_but_marks_stay() -> None:
    source = ["x lo .", "y lo .", "z ."]
    dictionary = WordDictionary({"x": "u", "lo": "", "y": "v"})
    assert [dictionary.translate(text) for text in source] == ["u.", "v.", "z."]
    assert (
        dictionary.translate("lo X") == "u"
        and dictionary.translate("Lo x") == "U"
        and dictionary.translate("lo") == ""
    )
    learned = WordDictionary.fit(["a .", "b .", "c ."], ["k .", "l .", "m ."])
    assert learned.translate("B.") == "L." and learned.words["."] == "."


def test_spaces_and_capitals() -> None:
    same = WordDictionary({"it": "it", "«": '"'})
    text = "It's (very) good; isn't it? Yes: 3.5, no!"
    assert same.translate(text) == text
    assert same.translate("¿Was?") == "¿ Was?"
    assert WordDictionary({"der": "the"}).translate("(Der") == "(The"
    assert WordDictionary({"ich": "I"}).translate("was ich") == "was I"


def test_the_commonest_spelling_is_written() -> None:
    dictionary = WordDictionary.fit(["x", "x", "X", "y", "y"], ["Tom", "Tom", "tom", "The", "the"])
    assert dictionary.words == {"x": "Tom", "y": "the"}


def test_only_the_first_pairs_count_and_links_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MAX_PAIRS", 2)
    assert set(WordDictionary.fit(*HOUSES).words) == {"das", "haus", "buch"}
    monkeypatch.setattr(baseline, "MAX_LINKS", 7)  # a sentence has 6
    assert set(WordDictionary.fit(*HOUSES).words) == {"das", "haus"}
    monkeypatch.setattr(baseline, "MAX_SENTENCE_WORDS", 1)
    assert set(WordDictionary.fit(*HOUSES).words) == {"das"}


def test_wrong_calls() -> None:
    with pytest.raises(UsageError, match="1 source and 2 targets"):
        WordDictionary.fit(["a"], ["b", "c"])
    with pytest.raises(UsageError, match="rounds is 0"):
        WordDictionary.fit(["a"], ["b"], rounds=0)


def test_json_round_trip() -> None:
    dictionary = WordDictionary.fit(*HOUSES)
    back = WordDictionary.from_json(json.loads(json.dumps(dictionary.to_json())))
    assert back.words == dictionary.words


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"kind": "dictionary"}, {"kind": "word", "words": {}}]
    + [{"kind": "dictionary", "words": words} for words in (None, ["a"], {"a": 1}, {"a": None})],
)
def test_damaged_json(value: Any) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        WordDictionary.from_json(value)


def test_t_stays_a_distribution() -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(map(str, draw.integers(0, 300, 9))) for _ in range(400)]
    links = _Links.of(_Side.of(texts[:200], null=True), _Side.of(texts[200:]))
    t = links.uniform()
    for _ in range(30):
        t, _ = links.em_round(t)
    np.testing.assert_allclose(np.bincount(links.source, t), 1)
