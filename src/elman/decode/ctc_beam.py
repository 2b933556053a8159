"""Prefix beam search for CTC, whole or as frames arrive, with anything that scores texts.

Graves, Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", ICML 2014; the sums
over paths that end in a blank and in a token are kept apart (Hannun et al., arXiv:1408.2873), as are, for the
times, the best of these paths. A text's rank is its acoustic score, ln p of the paths that the beam kept,
plus its bias, the sum of what the scorers say. T frames, V labels, W texts in the beam.

Tokens with which every text of the beam begins can't change any more: they are committed.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.decode.ctc import Frames, LogProbs, Token
from elman.decode.ctc_text import Text
from elman.decode.loop import require
from elman.decode.scorers import Scorer
from elman.settings import is_number, is_whole

Array = NDArray[np.float64]


class Hypothesis(NamedTuple):
    """A text, or the rest of one."""

    tokens: list[Token]  # with the times of its best path
    score: float  # acoustic + bias
    acoustic: float  # ln p of the text, without any bias
    bias: float  # of the scorers
    whole: bool  # False: a scorer does not let a text end here, and no text of the beam may end


def beam(
    log_probs: Tensor | NDArray[Any],
    *,
    blank: int = 0,
    beam_width: int = 16,
    n_best: int = 1,
    scorers: Sequence[Scorer] = (),
    margin: float = 12.0,
) -> list[Hypothesis]:
    """Return the likeliest texts of log-probabilities (T, V), at most `n_best`, best first; arguments as in
    `BeamStream`. Raises UsageError for an argument out of range or values that aren't log-probabilities.
    """
    stream = BeamStream(blank=blank, beam_width=beam_width, scorers=scorers, margin=margin)
    committed = stream.push(log_probs)
    return [one._replace(tokens=committed + one.tokens) for one in stream.finish(n_best)]


class _Sums(NamedTuple):
    """What is known of all texts of the beam, best first."""

    blank: Array  # (W) ln p of all paths that end in a blank
    token: Array  # (W) of those that end in the last token
    bias: Array  # (W)
    ranks: Array  # (W) ln p + bias
    gains: Array  # (W, V) what the bias will gain by the next token


class BeamStream:
    """Beam search over frames that arrive in pieces: the same as over the whole. The cost of a frame, and
    memory, do not grow with the stream, if `certainty` is below 1 or `delay` is set.

    Args:
        blank: the number of the blank.
        beam_width: how many texts are kept, W.
        scorers: see `elman.decode.scorers`.
        margin: texts that rank lower than the best by more than this leave the beam; `math.inf`: none do.
        certainty: a token is committed when texts with it hold at least this share of the beam's probability.
            Then the others leave the beam. 1: when all texts have it.
        delay: the best text's tokens are committed at the latest this many frames after they began. None: no
            limit.

    Raises UsageError for an argument out of range.
    """

    def __init__(
        self,
        *,
        blank: int = 0,
        beam_width: int = 16,
        scorers: Sequence[Scorer] = (),
        margin: float = 12.0,
        certainty: float = 1.0,
        delay: int | None = None,
    ) -> None:
        wide = is_whole(beam_width) and beam_width >= 1
        require(wide, f"beam_width must be a whole number of at least 1, not {beam_width!r}")
        valid = isinstance(margin, int | float) and margin > 0
        require(valid, f"margin must be a number above 0, not {margin!r}")
        valid = is_number(certainty) and 0.5 < certainty <= 1
        require(valid, f"certainty must be a number above 0.5, at most 1, not {certainty!r}")
        valid = delay is None or (is_whole(delay) and delay >= 1)
        require(valid, f"delay must be a whole number of frames of at least 1, not {delay!r}")
        self._frames = Frames(blank)
        self._width, self._scorers, self._margin = beam_width, tuple(scorers), margin
        self._certainty, self._delay = certainty, delay
        self._texts: list[Text] = []  # best first; none before the first frame of an utterance
        self._sums: _Sums

    def push(self, log_probs: LogProbs) -> list[Token]:
        """Read log-probabilities (T, V) of the next frames; return the tokens that are committed now.

        Raises UsageError for values that aren't log-probabilities, and for scores of another size.
        """
        first, frames = self._frames.read(log_probs)
        committed: list[Token] = []
        if not self._texts:
            self._begin(frames.shape[1])
        for t, frame in enumerate(frames, start=first):
            self._read(frame, t)
            committed += self._commit(t)
        return committed

    def tentative(self) -> list[Token]:
        """Return the best text's tokens that are not committed. They may change."""
        return list(self._texts[0].times(self._frames.count)) if self._texts else []

    def finish(self, n_best: int = 1) -> list[Hypothesis]:
        """End the utterance: return the likeliest rests of its text after the committed tokens, at most
        `n_best`, best first; at least one. The next frame begins another; frames go on being counted.

        Raises UsageError for `n_best` below 1.
        """
        require(is_whole(n_best) and n_best >= 1, f"n_best must be a whole number above 0, not {n_best!r}")
        if not self._texts:
            return [Hypothesis([], 0.0, 0.0, 0.0, True)]
        ends = [
            sum(scorer.end(state) for scorer, state in zip(self._scorers, text.states, strict=True))
            for text in self._texts
        ]
        whole = max(ends) > -math.inf
        acoustic = (self._sums.ranks - self._sums.bias).tolist()
        rests = []
        for text, ln_p, bias, end in zip(self._texts, acoustic, self._sums.bias.tolist(), ends, strict=True):
            if end > -math.inf or not whole:
                bias += end if whole else 0.0
                rests.append(Hypothesis(list(text.times(self._frames.count)), ln_p + bias, ln_p, bias, whole))
        self._texts = []
        return sorted(rests, key=lambda one: -one.score)[:n_best]

    def _begin(self, labels: int) -> None:
        starts = [scorer.start() for scorer in self._scorers]
        states = tuple(state for _, state in starts)
        zero, none = np.zeros(1), np.full(1, -math.inf)
        self._sums = _Sums(zero, none, zero, zero, _total([scores[None] for scores, _ in starts], 1, labels))
        self._texts = [Text((), self._frames.blank, 0.0, -math.inf, (), (), 0, -math.inf, states)]

    def _read(self, frame: Array, t: int) -> None:
        """Extend the texts by a frame (V) and keep the best."""
        texts, sums, blank, count = self._texts, self._sums, self._frames.blank, len(self._texts)
        last = np.array([text.last for text in texts])
        mass, said = np.logaddexp(sums.blank, sums.token), frame[last]
        longer = mass[:, None] + frame
        longer[np.arange(count), last] = sums.blank + said  # without a blank between, a repeated token is one
        longer[:, blank] = -math.inf
        stay_token, stay_blank = sums.token + said, mass + frame[blank]
        parents = _parents(texts)
        children = [i for i, parent in enumerate(parents) if parent >= 0]
        if children:
            reached = np.array(parents)[children], last[children]
            stay_token[children] = np.logaddexp(stay_token[children], longer[reached])
            longer[reached] = -math.inf
        stay, grow = np.logaddexp(stay_blank, stay_token), longer
        if self._scorers:
            stay, grow = stay + sums.bias, longer + (sums.gains + sums.bias[:, None])
        ranks = np.concatenate((stay, grow.ravel()))
        chosen = self._best(ranks)
        if not len(chosen):  # the scorers forbid all that this frame allows: leave it out
            return
        token_mass = np.concatenate((stay_token, longer.ravel()))[chosen]
        values, grown = frame.tolist(), []
        self._texts, sources = [], chosen.tolist()
        for k, source in enumerate(sources):
            if source < count:
                parent = texts[parents[source]] if parents[source] >= 0 else None
                self._texts.append(texts[source].stayed(parent, values, blank, t))
            else:
                sources[k], token = divmod(source - count, len(values))
                self._texts.append(texts[sources[k]].grown(token, values, t))
                grown.append(k)
        blank_mass, bias, gains = stay_blank[sources], sums.bias[sources], sums.gains[sources]
        if grown:
            blank_mass[grown] = -math.inf
            bias[grown] += gains[grown, [self._texts[k].last for k in grown]]
        self._sums = _Sums(blank_mass, token_mass, bias, ranks[chosen], gains)
        if self._scorers and grown:
            self._score(grown)

    def _best(self, ranks: Array) -> NDArray[np.int64]:
        """Return the places of the best ranks, best first, the lowest of equals."""
        least = ranks.max() - self._margin
        if len(ranks) > self._width:
            least = max(least, np.partition(ranks, len(ranks) - self._width)[len(ranks) - self._width])
        places = np.flatnonzero((ranks >= least) & (ranks > -math.inf))
        return places[np.argsort(-ranks[places], kind="stable")[: self._width]]

    def _score(self, grown: list[int]) -> None:
        """Let the scorers read the last tokens of texts that grew."""
        texts = [self._texts[i] for i in grown]
        rows, states = [], []
        for k, scorer in enumerate(self._scorers):
            scores, new = scorer.step([text.states[k] for text in texts], [text.last for text in texts])
            rows.append(scores)
            states.append(new)
        self._sums.gains[grown] = _total(rows, len(texts), self._sums.gains.shape[1])
        for i, *new_states in zip(grown, *states, strict=True):
            self._texts[i] = self._texts[i]._replace(states=tuple(new_states))

    def _commit(self, t: int) -> list[Token]:
        """Cut off and return the tokens that all texts begin with, once others have left where they must."""
        committed: list[Token] = []
        while self._texts[0].tokens:
            first, oldest = self._texts[0].tokens[0], self._texts[0].times(t + 1)[0]
            agree = [i for i, text in enumerate(self._texts) if text.tokens and text.tokens[0] == first]
            late = self._delay is not None and t + 1 - oldest.start >= self._delay
            lasts = len(self._texts[0].tokens) == 1 and self._sums.token[0] > self._sums.blank[0]
            if lasts and not late:
                break  # it is still being said
            if len(agree) < len(self._texts):
                if not late and self._share(agree) < self._certainty:
                    break
                self._sums = _Sums(*(values[agree] for values in self._sums))
            committed.append(oldest)
            self._texts = [self._texts[i].cut() for i in agree]
        return committed

    def _share(self, agree: list[int]) -> float:
        if self._certainty == 1:
            return 0.0
        shares = np.exp(self._sums.ranks - self._sums.ranks[0])
        return float(shares[agree].sum() / shares.sum())


def _parents(texts: list[Text]) -> list[int]:
    """Return the place of the text that each becomes by one more token; -1 if it isn't in the beam."""
    at = {text.tokens: i for i, text in enumerate(texts)}
    return [at.get(text.tokens[:-1], -1) if text.tokens else -1 for text in texts]


def _total(rows: list[Array], count: int, labels: int) -> Array:
    for scores in rows:
        wanted = f"a scorer must give {labels} scores, as many as there are labels, not {scores.shape[-1]}"
        require(scores.shape == (count, labels), wanted)
    total: Array = sum(rows, np.zeros((count, labels)))
    require(bool((total < math.inf).all()), "a scorer gave NaN or +inf")
    return total
