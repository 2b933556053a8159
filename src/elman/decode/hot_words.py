"""Words and phrases that are expected: a boost while they are said, given back unless they are finished."""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.decode.ctc import check_tokens
from elman.decode.loop import require
from elman.decode.scorers import MAX_KEPT_SCORES
from elman.settings import is_number

Array = NDArray[np.float64]


class State(NamedTuple):
    node: int
    boosted: int  # bit k: the token k places before the last one is in a finished phrase


class HotWords:
    """A `Scorer`: `boost` for each token of a text that lies in one of the phrases.

    A token counts once, however many phrases it is in. So does a token of a phrase that the text's end has
    just begun, until that can no longer become the phrase: then its boost is taken back. The search runs over
    all phrases at once (Aho, Corasick, "Efficient string matching", CACM 1975).

    Args:
        phrases: sequences of tokens.
        tokens: the number of tokens V.
        boost: a logarithm; 1.5 makes a token 4.5 times likelier.
        separator: the token between words. With it, a phrase begins and ends where words do, and separators
            get no boost; None: phrases occur anywhere.

    Raises UsageError for tokens out of range, an empty phrase, or a boost that is not a number above 0.
    """

    def __init__(
        self,
        phrases: Sequence[Sequence[int]],
        tokens: int,
        *,
        boost: float = 1.5,
        separator: int | None = None,
    ) -> None:
        require(is_number(boost) and boost > 0, f"boost must be a number above 0, not {boost!r}")
        self._tokens, self._boost, self._separator = tokens, boost, separator
        self._children: list[dict[int, int]] = [{}]
        self._fallback = [0]  # the node of the longest proper suffix
        self._depths = [0]
        self._counted = [0]  # bit k: the token k places before the last is in the node and no separator
        self._finished = [0]  # the same for the longest phrase that ends here
        for i, phrase in enumerate(phrases):
            ids = check_tokens(phrase, tokens, None, f"phrases[{i}]")
            require(len(ids) > 0, f"phrases[{i}] is empty")
            self._add(ids if separator is None else (separator, *ids, separator))
        self._link()
        self._rows: dict[State, Array] = {}

    def _add(self, phrase: Sequence[int]) -> None:
        node = 0
        for token in phrase:
            if token not in self._children[node]:
                self._children[node][token] = len(self._children)
                self._children.append({})
                self._depths.append(self._depths[node] + 1)
                self._counted.append(self._counted[node] << 1 | (token != self._separator))
                self._fallback.append(0)
                self._finished.append(0)
            node = self._children[node][token]
        self._finished[node] = self._counted[node]

    def _link(self) -> None:
        """Set the fallbacks, breadth first: those of shorter nodes are known."""
        queue = deque([0])
        while queue:
            node = queue.popleft()
            for token, child in self._children[node].items():
                queue.append(child)
                if node:
                    self._fallback[child] = self._next(self._fallback[node], token)
                self._finished[child] |= self._finished[self._fallback[child]]

    def _next(self, node: int, token: int) -> int:
        while token not in self._children[node]:
            if not node:
                return 0
            node = self._fallback[node]
        return self._children[node][token]

    def start(self) -> tuple[Array, State]:
        state = State(0, 0) if self._separator is None else self._after(State(0, 0), self._separator)[1]
        return self._row(state), state

    def step(self, states: Sequence[State], tokens: Sequence[int]) -> tuple[Array, list[State]]:
        new = [self._after(state, token)[1] for state, token in zip(states, tokens, strict=True)]
        return np.stack([self._row(state) for state in new]), new

    def end(self, state: State) -> float:
        gain = 0.0
        if self._separator is not None:  # the text's end is the end of a word
            gain, state = self._after(state, self._separator)
        return gain - self._boost * self._pending(state)

    def _after(self, state: State, token: int) -> tuple[float, State]:
        """Return the change of the boost, and the state after the token."""
        node = self._next(state.node, token)
        boosted = state.boosted << 1
        new = (self._finished[node] & ~boosted).bit_count()
        # no later phrase begins before the node does
        after = State(node, (boosted | self._finished[node]) & ((1 << self._depths[node]) - 1))
        return self._boost * (new + self._pending(after) - self._pending(state)), after

    def _pending(self, state: State) -> int:
        """Return the number of tokens that are boosted only until it is known how the phrase goes on."""
        return (self._counted[state.node] & ~state.boosted).bit_count()

    def _row(self, state: State) -> Array:
        row = self._rows.get(state)
        if row is None:
            if len(self._rows) * self._tokens >= MAX_KEPT_SCORES:
                self._rows = {}
            row = self._rows[state] = np.full(self._tokens, -self._boost * self._pending(state))
            node: Any = state.node
            following = set(self._children[0])
            while node:
                following.update(self._children[node])
                node = self._fallback[node]
            for token in following:
                row[token] = self._after(state, token)[0]
        return row
