"""Texts of listed phrases and language models of words, against every way to cut a text into words."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctc_paths import bias
from elman.decode.lexicon import Phrases, Words
from elman.decode.scorers import History, Weighted
from elman.errors import UsageError

Word = tuple[int, ...]
SEPARATOR = 2
words = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=3).map(tuple), min_size=1, unique=True)
texts = st.lists(st.integers(0, 2), max_size=8).map(tuple)


def cuts(text: Word, lexicon: list[Word], separator: int | None) -> Iterator[list[int]]:
    """Every list of words, by number, that is spelled so; a separator may follow the last."""
    if not text:
        yield []
    for i, word in enumerate(lexicon):
        rest = text[len(word) :]
        if text[: len(word)] != word or (separator is not None and rest[:1] not in ((), (separator,))):
            continue
        yield from ([i, *more] for more in cuts(rest[separator is not None :], lexicon, separator))


@settings(deadline=None, max_examples=40)
@given(words, texts, st.booleans(), st.booleans())
def test_only_listed_phrases_are_allowed(
    lexicon: list[Word], text: Word, repeat: bool, separated: bool
) -> None:
    separator = SEPARATOR if separated and repeat else None
    scorer = Phrases(lexicon, 3, repeat=repeat, separator=separator)
    allowed = any(cuts(text, lexicon, separator)) or not text if repeat else text in ((), *lexicon)
    assert bias(scorer, text) == (0.0 if allowed else -math.inf)
    begun = any(  # some text that begins so is allowed
        bias(scorer, (*text, *rest)) == 0.0
        for n in range(3)
        for rest in itertools.product(range(2), repeat=n)
    )
    assert bias(scorer, text, end=False) == (0.0 if begun else -math.inf)


def test_phrases_may_hold_separators() -> None:
    scorer = Phrases([(0, SEPARATOR, 1), (0,)], 3, repeat=True, separator=SEPARATOR)
    for text in [(0, 2, 1), (0,), (0, 2, 0, 2, 1), (0, 2, 1, 2, 0), (0, 2)]:
        assert bias(scorer, text) == 0.0
    for text in [(1,), (0, 2, 1, 2, 1), (0, 0), (2,)]:
        assert bias(scorer, text) == -math.inf


def word_model(count: int, seed: int) -> History:
    """A model of the last two words; the last token ends a text."""
    p = np.random.default_rng(seed).dirichlet(np.ones(count + 1), size=50)
    return History(lambda past: p[(past @ (5 ** np.arange(past.shape[1]))) % 50], 2, (count,), end=count)


@settings(deadline=None, max_examples=40)
@given(words, texts, st.integers(0, 99), st.booleans())
def test_a_text_scores_as_its_words_do(lexicon: list[Word], text: Word, seed: int, separated: bool) -> None:
    model = Weighted(word_model(len(lexicon), seed), 0.6, 0.3)
    separator = SEPARATOR if separated else None
    try:
        scorer = Words(lexicon, 3, model, separator=separator)
    except UsageError:
        first = {word[0] for word in lexicon}
        assert any(
            a == b[: len(a)] and b[len(a)] in first for a in lexicon for b in lexicon if a != b[: len(a) + 1]
        )
        return
    ways = [*cuts(text, lexicon, separator)]
    assert len(ways) <= 1
    expected = bias(model, ways[0]) if ways else -math.inf
    assert bias(scorer, text) == pytest.approx(expected)


def test_a_part_of_a_word_scores_as_the_best_word_that_begins_so() -> None:
    p = np.array([[0.5, 0.3, 0.2]])
    model = History(lambda past: p.repeat(len(past), 0), 0)
    scorer = Words([(0, 1), (0, 0), (1,)], 3, model, separator=SEPARATOR)
    scores, state = scorer.start()
    assert np.exp(scores).tolist() == pytest.approx([0.5, 0.2, 0.0])
    rows, states = scorer.step([state, state], [0, 1])
    assert np.exp(rows).tolist() == [pytest.approx([0.6, 1.0, 0.0]), pytest.approx([0.0, 0.0, 1.0])]
    assert [scorer.end(one) for one in states] == [-math.inf, 0.0]


def test_the_model_reads_all_finished_words_in_one_call() -> None:
    calls = []

    def distribution(past: np.ndarray) -> np.ndarray:
        calls.append(len(past))
        return np.full((len(past), 2), 0.5)

    scorer = Words([(0,), (1,)], 3, History(distribution, 1), separator=SEPARATOR)
    _, state = scorer.start()
    _, states = scorer.step([state, state], [0, 1])
    scorer.step([*states, state], [SEPARATOR, SEPARATOR, 0])
    assert calls == [1, 2]


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([], {}, "at least one sequence"),
        ([[]], {}, "at least one token"),
        ([[0], [0]], {}, "the same"),
        ([[0], [9]], {}, r"sequences\[1\] must be a list of labels"),
        ([[0, 2]], {"repeat": True, "separator": 2}, "begin or end with the separator, 2"),
        ([[0], [2, 1]], {"repeat": True, "separator": 2}, "begin or end with the separator, 2"),
        ([[0]], {"separator": 2}, "repeat=True"),
    ],
)
def test_bad_lists_are_refused(sequences: list, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Phrases(sequences, 3, **options)


def test_words_that_run_into_each_other_need_a_separator() -> None:
    model = word_model(2, 0)
    with pytest.raises(UsageError, match="the end of a word must be clear"):
        Words([(0,), (0, 0)], 3, model)
    Words([(0,), (0, 1)], 3, model)
