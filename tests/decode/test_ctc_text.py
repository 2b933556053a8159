"""One text of the beam: its best paths, step by step. Frames are of the blank 0 and the tokens 1 and 2."""

import math

import pytest

from elman.decode.ctc import Token
from elman.decode.ctc_text import Text

NOTHING = Text((), 0, 0.0, -math.inf, (), (), 0, -math.inf, ())


def frame(*p: float) -> list[float]:
    return [math.log(one) for one in p]


def test_a_token_lasts_while_it_is_said() -> None:
    text = NOTHING.grown(1, frame(0.1, 0.7, 0.2), 4)
    assert (text.tokens, text.times(5)) == ((1,), (Token(1, 4, 5, pytest.approx(0.7)),))
    text = text.stayed(None, frame(0.1, 0.8, 0.1), 0, 5)
    assert text.times(6) == (Token(1, 4, 6, pytest.approx(0.8)),)
    text = text.stayed(None, frame(0.9, 0.05, 0.05), 0, 6)
    assert text.times(7) == (Token(1, 4, 6, pytest.approx(0.8)),)
    assert (text.blank_best, text.token_best) == (
        pytest.approx(math.log(0.7 * 0.8 * 0.9)),
        pytest.approx(math.log(0.7 * 0.8 * 0.05)),
    )


def test_a_token_begins_later_if_that_is_likelier() -> None:
    text = NOTHING.grown(1, frame(0.8, 0.1, 0.1), 0)
    parent = NOTHING.stayed(None, frame(0.8, 0.1, 0.1), 0, 0)
    text = text.stayed(parent, frame(0.1, 0.8, 0.1), 0, 1)
    assert text.times(2) == (Token(1, 1, 2, pytest.approx(0.8)),)
    assert text.token_best == pytest.approx(math.log(0.8 * 0.8))


def test_a_repeated_token_follows_a_blank() -> None:
    text = NOTHING.grown(1, frame(0.1, 0.8, 0.1), 0)
    assert text.best_before(1) == -math.inf
    assert text.best_before(2) == pytest.approx(math.log(0.8))
    text = text.stayed(None, frame(0.5, 0.4, 0.1), 0, 1)
    again = text.grown(1, frame(0.1, 0.8, 0.1), 2)
    assert [(token.start, token.end) for token in again.times(3)] == [(0, 1), (2, 3)]
    assert again.token_best == pytest.approx(math.log(0.8 * 0.5 * 0.8))


def test_a_committed_token_is_cut_off_and_may_go_on() -> None:
    text = NOTHING.grown(1, frame(0.1, 0.8, 0.1), 0).cut()
    assert (text.tokens, text.last, text.times(1)) == ((), 1, ())
    text = text.stayed(None, frame(0.1, 0.8, 0.1), 0, 1)
    assert text.times(2) == ()
    text = text.grown(2, frame(0.1, 0.1, 0.8), 2)
    assert text.times(3) == (Token(2, 2, 3, pytest.approx(0.8)),)
    assert text.grown(1, frame(0.1, 0.8, 0.1), 3).cut().tokens == (1,)
