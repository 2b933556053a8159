"""Prefix beam search for CTC, whole or as frames arrive, with anything that scores texts.

Graves, Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", ICML 2014; the sums
over paths that end in a blank and in a token are kept apart (Hannun et al., arXiv:1408.2873), as are, for the
times, the best of these paths. A text's rank is its acoustic score, ln p of the paths that the beam kept, plus
its bias, the sum of what the scorers say. T frames, V labels, W texts in the beam.

Tokens with which every text of the beam begins can't change any more: they are committed.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.decode.ctc import Frames, Token, extended
from elman.decode.loop import require
from elman.decode.scorers import Scorer
from elman.settings import is_number, is_whole

Array = NDArray[np.float64]
Times = tuple[Token, ...]


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


class _Text(NamedTuple):
    """A text of the beam. `blank_` is of its paths that end in a blank, `token_` of those that end in its last
    token: `mass` sums them, `best` is the best one, `times` are of the best one's uncommitted tokens."""

    tokens: tuple[int, ...]  # not committed yet
    last: int  # the last token, committed or not; the blank if there is none
    blank_mass: float
    token_mass: float
    blank_best: float
    token_best: float
    blank_times: Times
    token_times: Times
    bias: float
    states: tuple[Any, ...]  # of the scorers

    @property
    def mass(self) -> float:
        return _log_add(self.blank_mass, self.token_mass)

    @property
    def best(self) -> float:
        return max(self.blank_best, self.token_best)

    @property
    def times(self) -> Times:
        return self.blank_times if self.blank_best >= self.token_best else self.token_times


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
        self._texts: list[_Text] = []  # best first
        self._next = np.zeros((0, 0))  # (W, V) what the scorers say of the next token
        self._fresh = True  # no frame of the utterance was read

    def push(self, log_probs: Tensor | NDArray[Any]) -> list[Token]:
        """Read log-probabilities (T, V) of the next frames; return the tokens that are committed now.

        Raises UsageError for values that aren't log-probabilities, and for scores of another size.
        """
        first, frames = self._frames.read(log_probs)
        committed: list[Token] = []
        for t, frame in enumerate(frames, start=first):
            if self._fresh:
                self._begin(len(frame))
            self._read(frame, t)
            committed += self._commit(t)
        return committed

    def tentative(self) -> list[Token]:
        """Return the best text's tokens that are not committed. They may change."""
        return list(self._texts[0].times) if self._texts else []

    def finish(self, n_best: int = 1) -> list[Hypothesis]:
        """End the utterance: return the likeliest rests of its text after the committed tokens, at most
        `n_best`, best first; at least one. The next frame begins another; frames go on being counted.

        Raises UsageError for `n_best` below 1.
        """
        require(is_whole(n_best) and n_best >= 1, f"n_best must be a whole number above 0, not {n_best!r}")
        if self._fresh:
            return [Hypothesis([], 0.0, 0.0, 0.0, True)]
        ends = [
            sum(scorer.end(state) for scorer, state in zip(self._scorers, text.states, strict=True))
            for text in self._texts
        ]
        whole = any(end > -math.inf for end in ends)
        rests = []
        for text, end in zip(self._texts, ends, strict=True):
            if end > -math.inf or not whole:
                bias = text.bias + (end if whole else 0.0)
                rests.append(Hypothesis(list(text.times), text.mass + bias, text.mass, bias, whole))
        self._texts, self._fresh = [], True
        return sorted(rests, key=lambda one: -one.score)[:n_best]

    def _begin(self, labels: int) -> None:
        starts = [scorer.start() for scorer in self._scorers]
        states = tuple(state for _, state in starts)
        self._next = _sum([scores[None] for scores, _ in starts], 1, labels)
        blank = self._frames.blank
        self._texts = [_Text((), blank, 0.0, -math.inf, 0.0, -math.inf, (), (), 0.0, states)]
        self._fresh = False

    def _read(self, frame: Array, t: int) -> None:
        """Extend the texts by a frame (V) and keep the best."""
        texts, blank, labels = self._texts, self._frames.blank, len(frame)
        last = np.array([text.last for text in texts])
        blank_mass, token_mass, bias = np.array([(x.blank_mass, x.token_mass, x.bias) for x in texts]).T
        mass, said, rows = np.logaddexp(blank_mass, token_mass), frame[last], np.arange(len(texts))
        longer = mass[:, None] + frame
        longer[rows, last] = blank_mass + said  # without a blank between, a repeated token is one
        longer[:, blank] = -math.inf
        stay_blank, stay_token = mass + frame[blank], token_mass + said
        # a text that another of the beam becomes by one more token
        at = {text.tokens: i for i, text in enumerate(texts)}
        parents = np.array([at.get(text.tokens[:-1], -1) if text.tokens else -1 for text in texts])
        children = np.flatnonzero(parents >= 0)
        reached = parents[children], last[children]
        stay_token[children] = np.logaddexp(stay_token[children], longer[reached])
        longer[reached] = -math.inf
        ranks = np.concatenate(
            [np.logaddexp(stay_blank, stay_token) + bias, (longer + bias[:, None] + self._next).ravel()]
        )
        chosen = self._best(ranks)
        if not len(chosen):  # the scorers forbid all that this frame allows: leave it out
            return
        sources, tokens = np.divmod(chosen - len(texts), labels)
        self._texts, grown = [], []
        values = frame.tolist()
        for rank, source, token in zip(chosen.tolist(), sources.tolist(), tokens.tolist(), strict=True):
            if rank < len(texts):
                parent = texts[parents[rank]] if parents[rank] >= 0 else None
                masses = float(stay_blank[rank]), float(stay_token[rank])
                self._texts.append(_stayed(texts[rank], parent, masses, values, blank, t))
            else:
                grown.append(len(self._texts))
                gain = float(self._next[source, token])
                self._texts.append(
                    _grown(texts[source], token, float(longer[source, token]), gain, values, t)
                )
        self._next = self._next[np.where(chosen < len(texts), chosen, sources)]
        if self._scorers and grown:
            self._score(grown)

    def _best(self, ranks: Array) -> NDArray[np.int64]:
        """Return the places of the best ranks, best first, the lowest of equals."""
        if len(ranks) > self._width:
            least = np.partition(ranks, len(ranks) - self._width)[len(ranks) - self._width]
            places = np.flatnonzero(ranks >= max(least, ranks.max() - self._margin))
        else:
            places = np.flatnonzero(ranks >= ranks.max() - self._margin)
        places = places[ranks[places] > -math.inf]
        order = np.argsort(-ranks[places], kind="stable")
        return places[order[: self._width]]

    def _score(self, grown: list[int]) -> None:
        """Let the scorers read the last tokens of texts that grew."""
        texts = [self._texts[i] for i in grown]
        rows, states = [], []
        for k, scorer in enumerate(self._scorers):
            scores, new = scorer.step([text.states[k] for text in texts], [text.last for text in texts])
            rows.append(scores)
            states.append(new)
        self._next[grown] = _sum(rows, len(texts), self._next.shape[1])
        for i, *new_states in zip(grown, *states, strict=True):
            self._texts[i] = self._texts[i]._replace(states=tuple(new_states))

    def _commit(self, t: int) -> list[Token]:
        """Cut off and return the tokens that all texts begin with, once others have left where they must."""
        committed = []
        while self._texts[0].tokens:
            best = self._texts[0]
            agree = [i for i, text in enumerate(self._texts) if text.tokens[:1] == best.tokens[:1]]
            late = self._delay is not None and t + 1 - best.times[0].start >= self._delay
            if len(agree) < len(self._texts) and not late and self._share(agree) < self._certainty:
                break
            committed.append(best.times[0])
            self._next = self._next[agree]
            self._texts = [_cut(self._texts[i]) for i in agree]
        return committed

    def _share(self, agree: list[int]) -> float:
        if self._certainty == 1:
            return 0.0
        ranks = np.array([text.mass + text.bias for text in self._texts])
        shares = np.exp(ranks - ranks.max())
        return float(shares[agree].sum() / shares.sum())


def _stayed(
    text: _Text, parent: _Text | None, masses: tuple[float, float], frame: list[float], blank: int, t: int
) -> _Text:
    """Return the text after a frame that adds no token to it, except on paths of its parent."""
    said = frame[text.last]
    token_best, times = text.token_best + said, text.token_times
    from_parent = -math.inf
    if parent is not None:
        from_parent = (parent.blank_best if parent.last == text.last else parent.best) + said
    if parent is not None and from_parent > token_best:
        before = parent.blank_times if parent.last == text.last else parent.times
        token_best, times = from_parent, (*before, Token(text.last, t, t + 1, math.exp(said)))
    elif times:  # none are left if the last token is committed
        times = (*times[:-1], extended(times[-1], math.exp(said)))
    return text._replace(
        blank_mass=masses[0],
        token_mass=masses[1],
        blank_best=text.best + frame[blank],
        token_best=token_best,
        blank_times=text.times,
        token_times=times,
    )


def _grown(text: _Text, token: int, mass: float, gain: float, frame: list[float], t: int) -> _Text:
    """Return the text with one more token; its scorers' states are still those before it."""
    again = token == text.last
    return _Text(
        tokens=(*text.tokens, token),
        last=token,
        blank_mass=-math.inf,
        token_mass=mass,
        blank_best=-math.inf,
        token_best=(text.blank_best if again else text.best) + frame[token],
        blank_times=(),
        token_times=(
            *(text.blank_times if again else text.times),
            Token(token, t, t + 1, math.exp(frame[token])),
        ),
        bias=text.bias + gain,
        states=text.states,
    )


def _cut(text: _Text) -> _Text:
    """Return the text without its first token, which is committed."""
    return text._replace(
        tokens=text.tokens[1:], blank_times=text.blank_times[1:], token_times=text.token_times[1:]
    )


def _sum(rows: list[Array], count: int, labels: int) -> Array:
    for scores in rows:
        wanted = f"a scorer must give {labels} scores, as many as there are labels, not {scores.shape[-1]}"
        require(scores.shape == (count, labels), wanted)
    total: Array = sum(rows, np.zeros((count, labels)))
    require(bool((total < math.inf).all()), "a scorer gave NaN or +inf")
    return total


def _log_add(a: float, b: float) -> float:
    high, low = (a, b) if a >= b else (b, a)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
