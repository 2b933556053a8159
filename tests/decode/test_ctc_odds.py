"""How sure a token is: against every run of frames, and in pieces."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctc_paths import frames
from elman.decode.ctc import GreedyStream, Token
from elman.decode.ctc_beam import BeamStream
from elman.decode.ctc_odds import LEAD, OddsStream, occurrence
from elman.decode.lexicon import Phrases
from elman.errors import UsageError


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=8))
def test_all_runs_of_a_label_count_against_none(p: list[float]) -> None:
    def path(run: range) -> float:
        return math.prod(p[t] if t in run else 1 - p[t] for t in range(len(p)))

    runs = [range(a, b) for b in range(1, len(p) + 1) for a in range(b)]
    odds = sum(map(path, runs)) / path(range(0))
    assert occurrence(np.log(p)) == pytest.approx(math.log(odds), abs=1e-9)


def test_of_certain_and_impossible_frames_odds_are_finite_or_none() -> None:
    assert 20 < occurrence(np.array([0.0])) < 30
    assert occurrence(np.array([-np.inf, 0.0])) == pytest.approx(occurrence(np.array([0.0])))


def streams(kept: int | None = None) -> list[OddsStream]:
    phrases = Phrases([[1, 2], [3]], 4, repeat=True)
    searches = [GreedyStream(), BeamStream(scorers=[phrases], certainty=0.98, delay=6)]
    return [OddsStream(search, kept) for search in searches]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(0, 99), st.lists(st.integers(1, 20), max_size=6))
def test_pieces_are_judged_as_the_whole(count: int, seed: int, cuts: list[int]) -> None:
    log_probs = frames(count, 4, seed, 3.0)
    for whole, parts in zip(streams(), streams(), strict=True):
        tokens = whole.push(log_probs) + whole.finish()
        pieces = [token for piece in np.split(log_probs, np.cumsum(cuts)) for token in parts.push(piece)]
        assert pieces + parts.finish() == tokens
        before = 0
        for token in tokens:
            start = min(max(token.start - LEAD, before), token.start)
            said = log_probs[start : token.end, token.token]
            assert token.confidence == pytest.approx(1 / (1 + math.exp(-occurrence(said))))
            before = token.end


def test_memory_does_not_grow_with_the_stream() -> None:
    for stream in streams(kept=12):
        for seed in range(20):
            quiet = np.log(np.tile([0.97, 0.01, 0.01, 0.01], (30, 1)))
            stream.push(np.concatenate([frames(10, 4, seed), quiet]))
            assert len(stream._frames) <= 12
        assert stream.finish() == []


def test_what_is_forced_is_unsure_and_what_is_said_is_not() -> None:
    said = np.full((6, 4), 0.01)
    said[[0, 2, 3, 5], 0] = said[1, 1] = said[4, 2] = 0.97  # 1, 2
    other = np.full((6, 4), 0.01)
    other[[0, 2, 3, 5], 0] = other[1, 1] = 0.97
    other[4] = [0.59, 0.01, 0.2, 0.2]  # which makes a phrase of 1
    (_, stream), (_, again) = streams(), streams()
    first = stream.push(np.log(said)) + stream.finish()
    second = again.push(np.log(other)) + again.finish()
    assert [token.token for token in first] == [token.token for token in second] == [1, 2]
    assert min(token.confidence for token in first) > 0.9
    assert second[0].confidence > 0.9 and second[1].confidence < 0.35


def test_tentative_tokens_are_the_search_s_and_bad_values_are_refused() -> None:
    stream = OddsStream(GreedyStream())
    stream.push(np.log([[0.1, 0.9]]))
    assert stream.tentative() == [Token(1, 0, 1, pytest.approx(0.9))]
    with pytest.raises(UsageError, match="NaN"):
        stream.push(np.full((1, 2), np.nan))
