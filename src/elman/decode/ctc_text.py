"""One text in the beam of `elman.decode.ctc_beam`: its tokens, and when its best paths say them.

Of the paths of a text, two are kept: the best that ends in a blank, and the best that ends in the last token.
"""

import math
from typing import Any, NamedTuple

from elman.decode.ctc import Token

Times = tuple[Token, ...]


class Text(NamedTuple):
    """A text that may grow. Committed tokens are cut off."""

    tokens: tuple[int, ...]  # not committed yet
    last: int  # the last token, committed or not; the blank if there is none
    blank_best: float  # ln p of the best path that ends in a blank
    token_best: float  # of the best path that ends in the last token
    blank_times: Times  # of the tokens, on the first of these paths
    before_times: Times  # of the tokens but the last, on the second
    start: int  # of the last token, on the second
    peak: float  # the highest ln p of the last token since then
    states: tuple[Any, ...]  # of the scorers

    def times(self, now: int) -> Times:
        """Return the tokens with the times of the best path, after `now` frames."""
        return self.blank_times if self.blank_best >= self.token_best else self._token_times(now)

    def _token_times(self, now: int) -> Times:
        if not self.tokens:  # the last token is committed
            return ()
        return (*self.before_times, Token(self.last, self.start, now, math.exp(self.peak)))

    def stayed(self, parent: "Text | None", frame: list[float], blank: int, t: int) -> "Text":
        """Return the text after frame t, which adds no token to it, except on paths of its parent: the text
        without the last token."""
        tokens, last, blank_best, token_best, blank_times, before_times, start, peak, states = self
        said = frame[last]
        if blank_best < token_best:
            blank_best, blank_times = token_best, self._token_times(t)
        if parent is not None and (best := parent.best_before(last)) > token_best:
            token_best, before_times, start, peak = best, parent.times_before(last, t), t, said
        elif said > peak:
            peak = said
        blank_best, token_best = blank_best + frame[blank], token_best + said
        return Text(tokens, last, blank_best, token_best, blank_times, before_times, start, peak, states)

    def grown(self, token: int, frame: list[float], t: int) -> "Text":
        """Return the text with one more token, of frame t. The scorers' states are still those before it."""
        said, times = frame[token], self.times_before(token, t)
        best = self.best_before(token) + said
        return Text((*self.tokens, token), token, -math.inf, best, (), times, t, said, self.states)

    def best_before(self, token: int) -> float:
        """Return ln p of the best path on which a token may follow: after a blank, if it equals the last."""
        if token == self.last or self.blank_best >= self.token_best:
            return self.blank_best
        return self.token_best

    def times_before(self, token: int, now: int) -> Times:
        return self.blank_times if token == self.last else self.times(now)

    def cut(self) -> "Text":
        """Return the text without its first token, which is committed."""
        return self._replace(
            tokens=self.tokens[1:], blank_times=self.blank_times[1:], before_times=self.before_times[1:]
        )
