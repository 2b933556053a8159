"""How sure tokens are that a search was made to find: in a closed list of phrases, the best text may be one
that the network hardly says. The highest probability of each token tells little then; here all frames in
which it may have been said count, those in which something else is likelier as well.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.decode.ctc import Frames, GreedyStream, LogProbs, Token
from elman.decode.ctc_beam import BeamStream

Array = NDArray[np.float64]

LEAD: Final = 2  # frames before a token's start in which it may have begun
CERTAIN, IMPOSSIBLE = -1e-9, -50.0  # ln p of a label beyond which nothing changes


def occurrence(said: Array) -> float:
    """Return the log odds that a label was said in frames, in one run of them, against that it was not, given
    its log-probabilities (T) there, where frames are independent."""
    said = np.clip(said, IMPOSSIBLE, CERTAIN)
    gains = np.concatenate([np.zeros(1), np.cumsum(said - np.log(-np.expm1(said)))])
    starts = np.logaddexp.accumulate(-gains[:-1])
    return float(np.logaddexp.reduce(gains[1:] + starts))


class OddsStream:
    """A search whose tokens have, as their confidence, the probability by `occurrence` that they were said
    between the end of the token before and their own end.

    Args:
        search: finds the tokens.
        kept: frames that are remembered, which are more than lie between a token's start and its commitment;
            None: all of the utterance.
    """

    def __init__(self, search: GreedyStream | BeamStream, kept: int | None = None) -> None:
        self._search, self._kept = search, kept
        self._counted = Frames(0)
        self._first, self._frames = 0, np.zeros((0, 0))  # number of the first frame that is remembered
        self._before = 0  # end of the token before

    def push(self, log_probs: LogProbs) -> list[Token]:
        """Read log-probabilities (T, V) of the next frames; return the tokens that are committed now. Raises
        UsageError as the search does."""
        _, frames = self._counted.read(log_probs)
        self._frames = np.concatenate([self._frames, frames]) if len(self._frames) else frames
        judged = [self._judged(token) for token in self._search.push(log_probs)]
        if self._kept is not None:
            self._forget(self._kept)
        return judged

    def tentative(self) -> list[Token]:
        """Return the tokens that may change, with the confidences of the search."""
        return self._search.tentative()

    def finish(self) -> list[Token]:
        """End the utterance: return its last tokens. Frames go on being counted."""
        search = self._search
        rest = search.finish() if isinstance(search, GreedyStream) else search.finish()[0].tokens
        judged = [self._judged(token) for token in rest]
        self._forget(0 if self._kept is None else self._kept)
        return judged

    def _judged(self, token: Token) -> Token:
        start = max(min(max(token.start - LEAD, self._before), token.start), self._first)
        self._before = token.end
        said = self._frames[start - self._first : token.end - self._first, token.token]
        if not len(said):
            return token
        return token._replace(confidence=math.exp(-float(np.logaddexp(0.0, -occurrence(said)))))

    def _forget(self, kept: int) -> None:
        self._first = max(self._counted.count - kept, self._first)
        self._frames = self._frames[max(len(self._frames) - kept, 0) :]
