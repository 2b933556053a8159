"""What scores a text token by token, besides the network: language models, lexicons, grammars, hot words.

All are `Scorer`s, which `elman.decode.ctc_beam` adds up. Language models here: `History`, of a function from
contexts to distributions, such as an n-gram's; `Stepped`, of a recurrent network; `Weighted`, either with a
weight and a bonus. `elman.decode.lexicon` and `elman.decode.hot_words` have the others.

V tokens, N texts. Scores are natural logarithms; -inf forbids a token.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from elman.decode.loop import Model, State, require
from elman.settings import is_number

Array = NDArray[np.float64]

MAX_KEPT_SCORES: Final = 1 << 20  # of rows that are likely to be asked for again


class Scorer(Protocol):
    """Scores texts that grow token by token. A state says all that the scores depend on; it never changes."""

    def start(self) -> tuple[Array, Any]:
        """Return the scores (V) of every first token, and the state of the empty text."""

    def step(self, states: Sequence[Any], tokens: Sequence[int]) -> tuple[Array, list[Any]]:
        """Extend N texts by a token that their scores allow; return the scores (N, V) of every token that may
        come next, and the new states."""

    def end(self, state: Any) -> float:
        """Return the score of the text's end; -inf if it may not end here."""


class Weighted:
    """Scores of a language model times a weight, plus a bonus for every token (not for the end).

    Args:
        model: a scorer of its own tokens.
        weight: of 0 or more.
        bonus: makes up for the model's preference for short texts.
        ids: the model's token for every token here; -1 for one that may not occur, such as the blank. None:
            they are the same.

    Raises UsageError for a weight below 0 or a number that is not finite.
    """

    def __init__(
        self, model: Scorer, weight: float, bonus: float = 0.0, ids: Sequence[int] | None = None
    ) -> None:
        require(is_number(weight) and weight >= 0, f"weight must be a number of 0 or more, not {weight!r}")
        require(is_number(bonus), f"bonus must be a number, not {bonus!r}")
        self._model, self._weight, self._bonus = model, weight, bonus
        self._ids = None if ids is None else np.asarray(ids, np.int64)

    def start(self) -> tuple[Array, Any]:
        scores, state = self._model.start()
        return self._scaled(scores), state

    def step(self, states: Sequence[Any], tokens: Sequence[int]) -> tuple[Array, list[Any]]:
        own = tokens if self._ids is None else self._ids[np.asarray(tokens, np.int64)].tolist()
        scores, new = self._model.step(states, own)
        return self._scaled(scores), new

    def end(self, state: Any) -> float:
        return self._weight * self._model.end(state) if self._weight else 0.0

    def _scaled(self, scores: Array) -> Array:
        own = scores if self._ids is None else scores[..., self._ids]
        scaled = (self._weight * own if self._weight else np.zeros(own.shape)) + self._bonus
        if self._ids is not None:
            scaled[..., self._ids < 0] = -math.inf
        return scaled


class History:
    """A language model that knows the last tokens, such as an n-gram.

    Args:
        distribution: contexts (M, C) of token ids → probabilities (M, V) of the next token.
        length: how many tokens of the past it looks at, C at most.
        first: the tokens before the text, such as a line end.
        end: the token that ends a text; None: an end costs nothing.
    """

    def __init__(
        self,
        distribution: Callable[[NDArray[np.int64]], Array],
        length: int,
        first: Sequence[int] = (),
        end: int | None = None,
    ) -> None:
        self._distribution, self._length, self._first, self._end = distribution, length, tuple(first), end
        self._rows: dict[tuple[int, ...], Array] = {}

    def start(self) -> tuple[Array, tuple[int, ...]]:
        context = self._recent(self._first)
        return self._scores([context])[0], context

    def step(
        self, states: Sequence[tuple[int, ...]], tokens: Sequence[int]
    ) -> tuple[Array, list[tuple[int, ...]]]:
        new = [self._recent((*state, token)) for state, token in zip(states, tokens, strict=True)]
        return self._scores(new), new

    def end(self, state: tuple[int, ...]) -> float:
        return 0.0 if self._end is None else float(self._scores([state])[0, self._end])

    def _recent(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        return tokens[max(0, len(tokens) - self._length) :]

    def _scores(self, contexts: list[tuple[int, ...]]) -> Array:
        missing: dict[int, list[tuple[int, ...]]] = {}
        for context in set(contexts) - self._rows.keys():
            missing.setdefault(len(context), []).append(context)
        for length, group in missing.items():
            p = self._distribution(np.array(group, np.int64).reshape(len(group), length))
            with np.errstate(divide="ignore"):
                self._rows.update(zip(group, np.log(p), strict=True))
        scores = np.stack([self._rows[context] for context in contexts])
        if len(self._rows) * scores.shape[1] > MAX_KEPT_SCORES:
            self._rows = {}
        return scores


class Stepped:
    """A recurrent language model: a `Model`, stepped over the texts that grew.

    Args:
        model: gives logits (N, V).
        first: the token before a text.
        state: of one row, before that token.
        join: states of one row each → the state of all these rows.
        end: the token that ends a text; None: an end costs nothing.
    """

    def __init__(
        self,
        model: Model,
        first: int,
        state: State,
        join: Callable[[list[State]], State],
        end: int | None = None,
    ) -> None:
        self._model, self._first, self._state, self._join, self._end = model, first, state, join, end

    def start(self) -> tuple[Array, Any]:
        scores, (state,) = self.step([(self._state, 0.0)], [self._first])
        return scores[0], state

    def step(self, states: Sequence[Any], tokens: Sequence[int]) -> tuple[Array, list[Any]]:
        rows = [state for state, _ in states]
        with torch.no_grad():
            joined = rows[0] if len(rows) == 1 else self._join(rows)
            logits, after = self._model.step(torch.tensor(tokens), joined)
            scores: Array = logits.double().log_softmax(1).cpu().numpy()
            each = [self._model.select(after, torch.tensor([i])) for i in range(len(rows))]
        ends = [0.0] * len(rows) if self._end is None else scores[:, self._end].tolist()
        return scores, list(zip(each, ends, strict=True))

    def end(self, state: Any) -> float:
        return float(state[1])
