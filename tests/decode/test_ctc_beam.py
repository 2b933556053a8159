"""Prefix beam search: against every path through a few frames, and frames in pieces against the whole."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctc_paths import bias, every_text, frames, small
from elman.decode.ctc import Token, greedy
from elman.decode.ctc_beam import BeamStream, Hypothesis, beam
from elman.decode.hot_words import HotWords
from elman.decode.lexicon import Phrases, Words
from elman.decode.scorers import History, Scorer, Weighted
from elman.errors import UsageError


def tables(seed: int, tokens: int) -> History:
    """A language model of the last two tokens, which forbids some; the last token ends a text."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.ones(tokens), size=1000) * (generator.random((1000, tokens)) > 0.1)
    return History(
        lambda contexts: p[(contexts @ (7 ** np.arange(contexts.shape[1]))) % 1000], 2, end=tokens - 1
    )


def every_kind(tokens: int, seed: int) -> list[list[Scorer]]:
    """Sets of scorers over V = 1, 2 or 3 labels, the last of which separates words."""
    sets: list[list[Scorer]] = [[], [Weighted(tables(seed, tokens), 0.7, 0.4)]]
    if tokens == 3:
        words = [[0], [1], [0, 1], [1, 1]]
        model = Weighted(tables(seed, len(words)), 1.3, 0.2)
        sets += [
            [Phrases([[0, 1, 1], [1], [0, 2]], 3)],
            [Phrases([[0, 1], [1]], 3, repeat=True)],
            [Phrases(words[1:], 3, repeat=True, separator=2), HotWords([[1, 1]], 3, separator=2)],
            [HotWords([[0, 1, 2], [1, 1]], 3, boost=2.0)],
            [Words(words, 3, model, separator=2)],
            [Words([[0], [1, 2], [1, 0]], 3, Weighted(tables(seed, 3), 0.9)), sets[1][0]],
        ]
    return sets


@settings(deadline=None, max_examples=40)
@given(small, st.integers(0, 7))
def test_a_wide_beam_finds_every_text_with_its_scores_and_times(case: tuple, kind: int) -> None:
    count, labels, seed, blank = case
    sets = every_kind(labels, seed)
    scorers = sets[kind % len(sets)]
    log_probs = frames(count, labels, seed)
    expected = {}
    for text, (acoustic, _, times) in every_text(log_probs, blank).items():
        extra = sum((bias(scorer, text) for scorer in scorers), 0.0)
        if extra > -math.inf and acoustic > -math.inf:
            expected[text] = (acoustic, extra, times)
    found = beam(log_probs, blank=blank, beam_width=9999, n_best=9999, scorers=scorers, margin=math.inf)
    if not expected:
        assert not any(one.whole for one in found)
        return
    assert {tuple(token.token for token in one.tokens) for one in found} == expected.keys()
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        acoustic, extra, times = expected[tuple(token.token for token in one.tokens)]
        assert (one.acoustic, one.bias) == (pytest.approx(acoustic), pytest.approx(extra))
        assert one.score == pytest.approx(acoustic + extra)
        assert one.whole
        assert [[*token[:3]] for token in one.tokens] == times
        for token in one.tokens:
            said = np.exp(log_probs[token.start : token.end, token.token])
            assert token.confidence == pytest.approx(float(said.max()))


@settings(deadline=None, max_examples=40)
@given(small, st.integers(0, 7), st.integers(1, 5), st.floats(0.5, 20))
def test_a_narrow_beam_never_overrates_a_text(case: tuple, kind: int, width: int, margin: float) -> None:
    count, labels, seed, blank = case
    sets = every_kind(labels, seed)
    scorers = sets[kind % len(sets)]
    log_probs = frames(count, labels, seed)
    texts = every_text(log_probs, blank)
    found = beam(log_probs, blank=blank, beam_width=width, n_best=width, scorers=scorers, margin=margin)
    assert 1 <= len(found) <= width
    assert len({tuple(token.token for token in one.tokens) for one in found}) == len(found)
    for one in found:
        text = tuple(token.token for token in one.tokens)
        extra = sum((bias(scorer, text, end=one.whole) for scorer in scorers), 0.0)
        assert one.bias == pytest.approx(extra)
        if text in texts:  # always, unless frames were left out because all they allow is forbidden
            assert one.acoustic <= texts[text][0] + 1e-9


streams = st.fixed_dictionaries(
    {
        "beam_width": st.integers(1, 12),
        "margin": st.sampled_from([3.0, 12.0, math.inf]),
        "certainty": st.sampled_from([0.6, 0.9, 1.0]),
        "delay": st.sampled_from([None, 1, 4, 15]),
    }
)


@settings(deadline=None, max_examples=20)
@given(streams, st.integers(0, 99), st.lists(st.integers(0, 9)), st.integers(0, 7))
def test_frames_in_pieces_give_the_same_as_the_whole(
    options: dict, seed: int, cuts: list[int], kind: int
) -> None:
    log_probs = frames(40, 3, seed, sharpness=3.0)
    scorers = every_kind(3, seed)[kind]
    whole = BeamStream(blank=seed % 3, scorers=scorers, **options)
    expected = whole.push(log_probs), whole.finish(5)
    stream, committed = BeamStream(blank=seed % 3, scorers=scorers, **options), []
    for piece in np.split(log_probs, np.cumsum(cuts)):
        committed += stream.push(piece)
        assert len({token.token for token in stream.tentative()} | {0}) <= 3
    assert (committed, stream.finish(5)) == expected
    if options["certainty"] == 1 and options["delay"] is None:  # committing alone changes no answer
        best = beam(
            log_probs,
            blank=seed % 3,
            scorers=scorers,
            beam_width=options["beam_width"],
            margin=options["margin"],
        )
        assert best[0].tokens == expected[0] + expected[1][0].tokens


def said(text: str, pause: int = 3, sure: float = 0.9) -> NDArray[Any]:
    """Frames of a text over the labels "_ab": each letter in one frame, then blanks."""
    path = "".join(letter + "_" * pause for letter in text)
    p = np.full((len(path), 3), (1 - sure) / 2)
    p[np.arange(len(path)), ["_ab".index(letter) for letter in path]] = sure
    return np.log(p)


def letters(tokens: list[Token]) -> str:
    return "".join("_ab"[token.token] for token in tokens)


def test_certain_tokens_are_committed_and_the_tail_is_not_lost() -> None:
    stream, committed = BeamStream(certainty=0.9), ""
    text = "abbaab"
    log_probs = said(text, sure=0.98)
    for t, frame in enumerate(log_probs):
        committed += letters(stream.push(frame[None]))
        assert text.startswith(committed + letters(stream.tentative()))
        assert len(committed) >= t // 4  # a letter is committed before the next one
    assert committed + letters(stream.finish()[0].tokens) == text
    assert [(token.start, token.end) for token in stream.push(said("a", sure=0.98))] == [(24, 25)]


def test_no_token_waits_longer_than_the_delay() -> None:
    stream, log_probs = BeamStream(margin=math.inf, delay=6), said("abab" * 5, sure=0.5)
    for t, frame in enumerate(log_probs):
        stream.push(frame[None])
        assert all(t + 1 - token.start < 6 for token in stream.tentative())


def test_after_the_end_of_an_utterance_another_begins() -> None:
    stream = BeamStream(scorers=[Phrases([[1], [2, 1]], 3)])
    assert stream.finish() == [Hypothesis([], 0.0, 0.0, 0.0, True)]
    for text in ("a", "ba", ""):
        committed = stream.push(said(text) if text else np.log(np.full((2, 3), [0.9, 0.05, 0.05])))
        rest = stream.finish()[0]
        assert (letters(committed + rest.tokens), rest.whole) == (text, True)
    assert stream.tentative() == []


def test_memory_and_the_beam_do_not_grow_with_the_stream() -> None:
    stream = BeamStream(certainty=0.9, delay=20, beam_width=8)
    longest = 0
    for seed in range(12):
        stream.push(frames(50, 4, seed, sharpness=1.0))
        longest = max(longest, *(len(text.tokens) for text in stream._texts))
    assert longest <= 25


def test_a_hot_word_wins_where_it_sounds_alike_and_its_acoustic_score_stays_honest() -> None:
    p = np.array([[0.04, 0.90, 0.06], [0.8, 0.1, 0.1], [0.1, 0.6, 0.3], [0.9, 0.05, 0.05]])
    plain = beam(np.log(p), n_best=9)
    hot = beam(np.log(p), n_best=9, scorers=[HotWords([[1, 2]], 3)])
    assert (letters(plain[0].tokens), letters(hot[0].tokens)) == ("aa", "ab")
    same = next(one for one in plain if letters(one.tokens) == "ab")
    assert hot[0].acoustic == pytest.approx(same.score)
    assert hot[0].score == pytest.approx(same.score + 3.0)


def test_a_text_that_may_not_end_is_given_only_if_no_other_is_there() -> None:
    only_a = beam(said("a", sure=0.99), scorers=[Phrases([[1, 2]], 3)], beam_width=1)
    assert [(letters(one.tokens), one.whole) for one in only_a] == [("a", False)]
    assert letters(beam(said("a", sure=0.99), scorers=[Phrases([[1, 2]], 3)])[0].tokens) in ("ab", "")


def test_frames_that_allow_only_what_is_forbidden_are_left_out() -> None:
    log_probs = np.log(np.maximum([[0, 1, 0], [0, 0, 1], [1, 0, 0]], 1e-300))
    log_probs[log_probs < -600] = -math.inf
    (best,) = beam(log_probs, scorers=[Phrases([[1]], 3)])
    assert letters(best.tokens) == "a"


def test_a_beam_of_one_on_sure_frames_is_greedy() -> None:
    log_probs = said("abba", sure=0.97)
    (best,) = beam(log_probs, beam_width=1)
    assert best.tokens == greedy(log_probs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 0}, "beam_width"),
        ({"beam_width": 2.0}, "beam_width"),
        ({"margin": 0}, "margin"),
        ({"margin": math.nan}, "margin"),
        ({"certainty": 0.5}, "certainty"),
        ({"certainty": 1.1}, "certainty"),
        ({"delay": 0}, "delay"),
        ({"blank": -1}, "blank"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BeamStream(**options)


def test_bad_frames_scores_and_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="NaN"):
        beam(np.full((1, 2), math.nan))
    with pytest.raises(UsageError, match="below 2"):
        beam(np.log(np.full((1, 2), 0.5)), blank=2)
    with pytest.raises(UsageError, match="n_best"):
        beam(np.zeros((0, 2)), n_best=0)
    with pytest.raises(UsageError, match=r"a scorer must give 3 scores.*not 2"):
        beam(said("a"), scorers=[Phrases([[1]], 2)])
    with pytest.raises(UsageError, match="a scorer gave NaN"):
        beam(said("a"), scorers=[History(lambda contexts: np.full((len(contexts), 3), math.nan), 1)])
    assert beam(np.zeros((0, 2))) == [Hypothesis([], 0.0, 0.0, 0.0, True)]


@pytest.mark.parametrize("options", [{}, {"certainty": 0.9}, {"beam_width": 1}])
@pytest.mark.parametrize("sure", [0.99, 1 - 2e-7])
def test_a_token_is_not_committed_while_it_is_said(options: dict[str, Any], sure: float) -> None:
    p = np.full((12, 3), (1 - sure) / 2)
    p[np.arange(12), [1] * 5 + [0, 2, 2, 2, 0, 0, 0]] = sure
    stream = BeamStream(**options)
    tokens = [*stream.push(np.log(p)), *stream.finish()[0].tokens]
    assert [(token.start, token.end) for token in tokens] == [(0, 5), (6, 9)]
    assert [(token.start, token.end) for token in greedy(np.log(p))] == [(0, 5), (6, 9)]
