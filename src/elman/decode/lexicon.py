"""Texts made of listed words or phrases only, and language models of words over tokens that spell them."""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.decode.ctc import check_tokens
from elman.decode.loop import require
from elman.decode.scorers import MAX_KEPT_SCORES, Scorer

Array = NDArray[np.float64]

ROOT: Final = 0


class _Tree:
    """A prefix tree of sequences. Node 0 is the root; `first` to `last` are the sequences below a node, in
    their order sorted; a node that ends a sequence has it as the first."""

    def __init__(self, sequences: Sequence[Sequence[int]], tokens: int, separator: int | None) -> None:
        checked = [check_tokens(one, tokens, separator, f"sequences[{i}]") for i, one in enumerate(sequences)]
        require(len(checked) > 0, "there must be at least one sequence")
        require(all(checked), "a sequence must have at least one token")
        require(len(set(checked)) == len(checked), "two sequences are the same")
        self.tokens = tokens
        self.order = sorted(range(len(checked)), key=checked.__getitem__)
        self.children: list[dict[int, int]] = [{}]
        self.first, self.last, self.ends = [0], [len(checked)], [False]
        for i, at in enumerate(self.order):
            node = ROOT
            for token in checked[at]:
                if token not in self.children[node]:
                    self.children[node][token] = len(self.children)
                    self.children.append({})
                    self.first.append(i)
                    self.last.append(i)
                    self.ends.append(False)
                node = self.children[node][token]
                self.last[node] = i + 1
            self.ends[node] = True


class Phrases:
    """A `Scorer` that forbids all texts but listed ones: score 0 or -inf.

    Args:
        sequences: words or phrases, each of one token or more, all different.
        tokens: the number of tokens V.
        repeat: False: a text is one of them, or empty, as nothing may be said; a closed grammar. True: a text
            is any number of them; a lexicon.
        separator: the token between two of them, and between the words of one; None: they follow each other
            directly.

    Raises UsageError for tokens out of range, and for sequences that are missing, empty or the same.
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        tokens: int,
        *,
        repeat: bool = False,
        separator: int | None = None,
    ) -> None:
        require(repeat or separator is None, "a separator needs repeat=True")
        inside = all(one[0] != separator != one[-1] for one in sequences if one)
        require(inside, f"a sequence must not begin or end with the separator, {separator}")
        self._tree = _Tree(sequences, tokens, None)
        self._repeat, self._separator = repeat, separator
        self._rows: dict[tuple[int, ...], Array] = {}

    def start(self) -> tuple[Array, tuple[int, ...]]:
        return self._row((ROOT,)), (ROOT,)

    def step(
        self, states: Sequence[tuple[int, ...]], tokens: Sequence[int]
    ) -> tuple[Array, list[tuple[int, ...]]]:
        new = [self._after(state, token) for state, token in zip(states, tokens, strict=True)]
        return np.stack([self._row(state) for state in new]), new

    def end(self, state: tuple[int, ...]) -> float:
        return 0.0 if any(node == ROOT or self._tree.ends[node] for node in state) else -math.inf

    def _after(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """Return the nodes where the text may be: several if sequences can be told apart only later."""
        children = self._tree.children
        nodes = {children[n][token] for n in self._places(state) if token in children[n]}
        if token == self._separator and any(self._tree.ends[node] for node in state):
            nodes.add(ROOT)
        return tuple(sorted(nodes))

    def _places(self, state: tuple[int, ...]) -> tuple[int, ...]:
        ended = any(self._tree.ends[node] for node in state)
        return (*state, ROOT) if ended and self._repeat and self._separator is None else state

    def _row(self, state: tuple[int, ...]) -> Array:
        row = self._rows.get(state)
        if row is None:
            if len(self._rows) * self._tree.tokens > MAX_KEPT_SCORES:
                self._rows = {}
            row = self._rows[state] = np.full(self._tree.tokens, -math.inf)
            for node in self._places(state):
                row[list(self._tree.children[node])] = 0.0
            if self._separator is not None and any(self._tree.ends[node] for node in state):
                row[self._separator] = 0.0
        return row


class _Spelling(NamedTuple):
    """A text in which a word is being spelled."""

    node: int
    scores: Array  # of every word in place of this one, in the tree's order
    before: Any  # the model's state before this word
    after: tuple[Array, Any] | None  # scores of the next word and state, where a word may be complete


class Words:
    """A `Scorer`: a language model of words over tokens that spell them; it forbids all other texts.

    A word's score is due at its first token already, as far as that settles it: a part scores as the best
    word that begins so. The sum of a text is the model's own score of its words.

    Args:
        sequences: the spelling of each word, all different.
        tokens: the number of tokens V.
        model: a scorer of words: word i is spelled `sequences[i]`. A `Weighted` with a bonus for words, say.
        separator: the token between words, which none contains. None: they follow each other directly; then
            no token may both go on with a complete word and begin another.

    Raises UsageError as `Phrases` does, and for words that can't be told apart without a separator.
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        tokens: int,
        model: Scorer,
        *,
        separator: int | None = None,
    ) -> None:
        self._tree = tree = _Tree(sequences, tokens, separator)
        self._model, self._separator = model, separator
        self._order = np.array(tree.order)
        going_on = [children for children, ends in zip(tree.children, tree.ends, strict=True) if ends]
        clear = all(tree.children[ROOT].keys().isdisjoint(children) for children in going_on)
        require(clear or separator is not None, "without a separator, the end of a word must be clear")
        # node → its children's tokens and where the sequences of each begin, for `reduceat`
        self._branches = [
            (list(children), [tree.first[child] - tree.first[node] for child in children.values()])
            for node, children in enumerate(tree.children)
        ]

    def start(self) -> tuple[Array, _Spelling]:
        scores, before = self._model.start()
        state = _Spelling(ROOT, self._sorted(scores), before, None)
        return self._row(state), state

    def step(self, states: Sequence[_Spelling], tokens: Sequence[int]) -> tuple[Array, list[_Spelling]]:
        pairs = list(zip(states, tokens, strict=True))
        if self._separator is None:
            new = self._completed([self._after(state, token) for state, token in pairs])
        else:
            over = [i for i, token in enumerate(tokens) if token == self._separator]
            completed = dict(zip(over, self._completed([states[i] for i in over]), strict=True))
            new = [self._after(completed.get(i, state), token) for i, (state, token) in enumerate(pairs)]
        return np.stack([self._row(state) for state in new]), new

    def end(self, state: _Spelling) -> float:
        if state.node == ROOT:
            return self._model.end(state.before)
        if not self._tree.ends[state.node]:
            return -math.inf
        (state,) = self._completed([state])
        assert state.after is not None
        return self._owed(state) + self._model.end(state.after[1])

    def _after(self, state: _Spelling, token: int) -> _Spelling:
        if token in self._tree.children[state.node]:
            return _Spelling(self._tree.children[state.node][token], state.scores, state.before, None)
        assert state.after is not None
        scores, before = state.after
        node = ROOT if token == self._separator else self._tree.children[ROOT][token]
        return _Spelling(node, scores, before, None)

    def _completed(self, states: list[_Spelling]) -> list[_Spelling]:
        """Ask the model, in one call, for the words after those that may be complete."""
        at = [i for i, one in enumerate(states) if self._tree.ends[one.node] and one.after is None]
        if not at:
            return states
        words = [self._tree.order[self._tree.first[states[i].node]] for i in at]
        scores, after = self._model.step([states[i].before for i in at], words)
        states = list(states)
        for i, row, state in zip(at, self._sorted(scores), after, strict=True):
            states[i] = states[i]._replace(after=(row, state))
        return states

    def _sorted(self, scores: Array) -> Array:
        return scores[..., self._order]

    def _best(self, state: _Spelling) -> float:
        """Return the score that the tokens of the word so far have: none at the root."""
        first, last = self._tree.first[state.node], self._tree.last[state.node]
        return 0.0 if state.node == ROOT else float(state.scores[first:last].max())

    def _owed(self, state: _Spelling) -> float:
        """Return the rest of the score of a complete word."""
        return float(state.scores[self._tree.first[state.node]]) - self._best(state)

    def _row(self, state: _Spelling) -> Array:
        row = np.full(self._tree.tokens, -math.inf)
        self._fill(row, state.node, state.scores, self._best(state))
        if self._tree.ends[state.node]:
            if self._separator is not None:
                row[self._separator] = self._owed(state)
            elif state.after is not None:
                self._fill(row, ROOT, state.after[0], -self._owed(state))
        return row

    def _fill(self, row: Array, node: int, scores: Array, less: float) -> None:
        tokens, begins = self._branches[node]
        if tokens:
            below = scores[self._tree.first[node] : self._tree.last[node]]
            row[tokens] = np.maximum.reduceat(below, begins) - less
