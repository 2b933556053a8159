"""The network that translates: a bidirectional encoder, and a decoder that looks back at it.

S steps of the source, T of the target, B pairs, E values of a token's vector, H units. Attention is that of
Luong et al., arXiv:1508.04025 (general score). One recurrence asks, another goes on with what was found, so
that with the whole target in hand each is one scan and attention one product over all steps. With input
feeding, as in that paper, the one that asks also sees what was found a step ago; then steps go one by one.
"""

import math
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import Cell
from elman.nn import Recurrent

# Features are within ±1 and the vectors of words begin small: their products tell words apart too little to
# learn from.
LOUD: Final = 4.0


class Memory(NamedTuple):
    """A source once read. Rows are pairs; a beam has several rows of one pair."""

    keys: Tensor  # (B, H, S) what a question is compared with
    values: Tensor  # (B, S, H)
    outside: Tensor  # (B, S) bool, True beyond a source's end


class State(NamedTuple):
    """What a decoder carries from step to step."""

    asking: Any  # the recurrences' own, as elman.nn returns them
    going_on: Any
    found: Tensor  # (B, E) of the last step
    weights: Tensor  # (B, S) of the last step


class Masks(NamedTuple):
    """What is dropped, the same at all steps."""

    word: Tensor  # (1, B, E)
    question: Tensor  # (1, B, H)
    answer: Tensor  # (1, B, E)


class EncoderDecoder(nn.Module):
    """Reads a source and says how likely every token is as the next of its translation.

    Args:
        cell: the recurrence.
        sources, targets: tokens of either side; with `joint` they are the same, and so are their vectors.
        embedding, hidden, layers: E, H and how many bidirectional layers of the encoder, of H / 2 units a
            direction.
        feeding: input feeding.
        dropout: share that is dropped of the words' vectors, of the encoder's outputs and of the decoder's.
    """

    def __init__(
        self,
        cell: Cell,
        sources: int,
        targets: int,
        *,
        joint: bool,
        embedding: int,
        hidden: int,
        layers: int,
        feeding: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.feeding, self.dropout = feeding, dropout
        read = 2 * (hidden // 2)  # values of an encoder's output
        self.target = nn.Embedding(targets, embedding)
        self.source = self.target if joint else nn.Embedding(sources, embedding)
        for table in (self.target, self.source):
            nn.init.uniform_(table.weight, -0.1, 0.1)
        bias = 1.0 if "f" in cell.gates and "c" in cell.state else None  # elsewhere f may be an update gate
        sizes = [embedding, *[read] * layers]
        self.encoder = nn.ModuleList(
            Recurrent(cell, wide, hidden // 2, bidirectional=True, forget_bias=bias) for wide in sizes[:-1]
        )
        self.asking = Recurrent(cell, embedding * (2 if feeding else 1), hidden, forget_bias=bias)
        self.going_on = Recurrent(cell, hidden + read, hidden, forget_bias=bias)
        entries = len(cell.state)
        self.bridge = nn.Linear(read, 2 * entries * hidden)
        self.key = nn.Linear(read, hidden, bias=False)
        self.combine = nn.Linear(hidden + read, embedding)
        self.bias = nn.Parameter(torch.zeros(targets))

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Padded sources (S, B) of `lengths` (B) and the tokens before each target token (T, B) → features
        (T, B, E) that foretell the target."""
        memory, state = self.encode(source, lengths)
        x = self._vectors(self.target, target)
        masks = self._masks(x)
        if not self.feeding:
            return self._decode(x, state, memory, masks)[0]
        features = []
        for t in range(len(x)):
            found, state = self._decode(x[t : t + 1], state, memory, masks)
            features.append(found)
        return torch.cat(features)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """What the decoder looks back at, and where it starts."""
        x = self._dropped(self._vectors(self.source, source))
        final: Any = None
        for layer in self.encoder:
            x, final = layer(x, lengths=lengths)
            x = self._dropped(x)
        last = final[0] if isinstance(final, tuple) else final  # (2, B, H / 2)
        starts = (
            self.bridge(torch.cat(list(last), 1)).tanh().chunk(self.bridge.out_features // self._hidden, 1)
        )
        entries = len(starts) // 2
        values = x.transpose(0, 1)
        outside = torch.arange(len(source), device=source.device) >= lengths[:, None]
        memory = Memory(self.key(values).transpose(1, 2), values, outside)
        nothing = x.new_zeros(x.shape[1], self.target.embedding_dim)
        state = State(
            _packed(starts[:entries]), _packed(starts[entries:]), nothing, x.new_zeros(outside.shape)
        )
        return memory, state

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """One token of each row (B) → features (B, E) and the state to go on from, without gradients."""
        with torch.no_grad():
            x = self._vectors(self.target, tokens[None])
            features, state = self._decode(x, state, memory, None)
        return features[0], state

    def logits(self, features: Tensor) -> Tensor:
        """Features (..., E) → a number for every target token (..., V); it is said by the vector that it is
        read by (Press, Wolf, arXiv:1608.05859)."""
        return F.linear(LOUD * features, self.target.weight, self.bias)

    @property
    def _hidden(self) -> int:
        return self.asking.hidden_size

    def _decode(self, x: Tensor, state: State, memory: Memory, masks: Masks | None) -> tuple[Tensor, State]:
        """Words' vectors (T, B, E) → features (T, B, E) and the state after them."""
        if masks is not None:
            x = x * masks.word
        if self.feeding:
            x = torch.cat([x, state.found[None]], 2)
        asked, asking = self.asking(x, state.asking)
        if masks is not None:
            asked = asked * masks.question
        found, weights = _attended(asked, memory)
        went_on, going_on = self.going_on(torch.cat([asked, found], 2), state.going_on)
        features = self.combine(torch.cat([went_on, found], 2)).tanh()
        if masks is not None:
            features = features * masks.answer
        return features, State(asking, going_on, features[-1], weights[:, -1])

    def _vectors(self, table: nn.Embedding, ids: Tensor) -> Tensor:
        # numbers of about one: as they stand, small enough for what is said, they tell the layers little
        x: Tensor = table(ids)
        return x * math.sqrt(table.embedding_dim)

    def _masks(self, x: Tensor) -> Masks | None:
        if not (self.training and self.dropout):
            return None
        widths = (x.shape[2], self._hidden, x.shape[2])
        return Masks(*(F.dropout(x.new_ones(1, x.shape[1], wide), self.dropout) for wide in widths))

    def _dropped(self, x: Tensor) -> Tensor:
        """The same values are missing at all steps (Gal, Ghahramani, arXiv:1512.05287)."""
        if not (self.training and self.dropout):
            return x
        return x * F.dropout(x.new_ones(1, *x.shape[1:]), self.dropout)


def _attended(asked: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Questions (T, B, H) → what is found (T, B, H) and where it was looked for, (B, T, S)."""
    scores = torch.bmm(asked.transpose(0, 1), memory.keys)
    weights = scores.masked_fill(memory.outside[:, None], -math.inf).softmax(2)
    return torch.bmm(weights, memory.values).transpose(0, 1), weights


def _packed(entries: tuple[Tensor, ...]) -> Any:
    """States as a layer takes them: (1, B, H), a tuple where there are several."""
    parts = tuple(entry[None].contiguous() for entry in entries)
    return parts if len(parts) > 1 else parts[0]


def selected(state: State, rows: Tensor) -> State:
    """The state of these rows, in that order."""

    def chosen(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(chosen(inner) for inner in part)
        return part.index_select(1, rows)

    return State(chosen(state.asking), chosen(state.going_on), state.found[rows], state.weights[rows])
