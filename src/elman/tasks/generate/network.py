"""The network that says what comes next: embedding → recurrent layers → a probability for every token.

T steps, B sequences, V tokens, E values of a token's vector, H units. Regularised as in Merity et al.,
"Regularizing and optimizing LSTM language models", arXiv:1708.02182.
"""

import math
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import Cell
from elman.nn import Recurrent
from elman.nn.call_cache import lookup

# More tokens than this get an adaptive softmax: the rare ones share a few common slots (Grave et al.,
# "Efficient softmax approximation for GPUs", arXiv:1609.04309).
FULL: Final = 20_000

State = tuple[Any, ...]  # one entry a layer


class Writer(nn.Module):
    """Reads tokens and knows after each how likely every token is as the next.

    Args:
        cell: the recurrence.
        tokens: V.
        embedding, hidden, layers: E, H and how many layers of H units.
        dropout: share of the outputs of every layer that is dropped, the same at all steps.
        embedding_dropout: share of the vocabulary that is dropped, each word at all its places.
        weight_dropout: share of the entries of every U that is dropped.
        loudness: what features are multiplied by before they are compared with the tokens' vectors: above 1,
            a network with small vectors learns sooner what to say.
    """

    def __init__(
        self,
        cell: Cell,
        tokens: int,
        *,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
        embedding_dropout: float,
        weight_dropout: float,
        loudness: float = 1.0,
    ) -> None:
        super().__init__()
        self.dropout, self.embedding_dropout, self.loudness = dropout, embedding_dropout, loudness
        self.embedding = nn.Embedding(tokens, embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        bias = 1.0 if "f" in cell.gates and "c" in cell.state else None  # elsewhere f may be an update gate
        dropped = weight_dropout if cell.recurrent else 0.0
        sizes = [embedding, *[hidden] * layers]
        self.layers = nn.ModuleList(
            Recurrent(cell, wide, hidden, weight_dropout=dropped, forget_bias=bias) for wide in sizes[:-1]
        )
        self.narrow = nn.Linear(hidden, embedding) if hidden != embedding else nn.Identity()
        self.rare: Any = None
        if tokens > FULL:
            self.rare = nn.AdaptiveLogSoftmaxWithLoss(embedding, tokens, [FULL // 5, FULL], div_value=2.0)
        else:  # tied: a token is said by the vector that it is read by (Press, Wolf, arXiv:1608.05859)
            self.bias = nn.Parameter(torch.zeros(tokens))

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """Ids (T, B) → the features (T, B, H) that foretell the next tokens, the last layer's outputs before
        dropout, and the state to go on from."""
        x = self._dropped(self._read(ids))
        y, states = x, []
        for k, layer in enumerate(self.layers):
            y, new = layer(x, None if state is None else state[k])
            states.append(new)
            x = self._dropped(y)
        return x, y, tuple(states)

    def log_probs(self, features: Tensor) -> Tensor:
        """Features (..., H) → logarithms of the probabilities of all tokens (..., V)."""
        said = self.loudness * self.narrow(features)
        if self.rare is not None:
            found: Tensor = self.rare.log_prob(said.flatten(0, -2))
            return found.view(*said.shape[:-1], found.shape[-1])
        return F.linear(said, self.embedding.weight, self.bias).log_softmax(-1)

    def loss(self, features: Tensor, wanted: Tensor) -> Tensor:
        """Sum of -ln p over features (T, B, H) and the tokens that came (T, B)."""
        rows, targets = (self.loudness * self.narrow(features)).flatten(0, 1), wanted.flatten()
        if self.rare is not None:
            rare: Tensor = self.rare(rows, targets).output
            return -rare.sum()
        return F.cross_entropy(
            F.linear(rows, self.embedding.weight, self.bias).float(), targets, reduction="sum"
        )

    def _read(self, ids: Tensor) -> Tensor:
        """Vectors of the tokens; while training some words are missing at all their places (Gal, Ghahramani,
        arXiv:1512.05287)."""
        x = self._vectors(ids)
        if not (self.training and self.embedding_dropout):
            return x
        there = F.dropout(x.new_ones(self.embedding.num_embeddings), self.embedding_dropout)
        return x * there[ids].unsqueeze(2)

    def _vectors(self, ids: Tensor) -> Tensor:
        # numbers of about one: as they stand, small enough for what is said, they tell the layers little
        x: Tensor = self.embedding(ids)
        return x * math.sqrt(self.embedding.embedding_dim)

    def _dropped(self, x: Tensor) -> Tensor:
        """The same values are missing at all steps."""
        if not (self.training and self.dropout):
            return x
        return x * F.dropout(x.new_ones(1, *x.shape[1:]), self.dropout)


class Voice:
    """A network that says one token after the other, without gradients: what never changes is multiplied out.

    Args:
        network: in eval mode; its weights stay what they are.
        alone: whether it is mostly one sequence that is stepped: then the first layer's product with every
            token is made now, if there are not too many.
    """

    def __init__(self, network: Writer, alone: bool = False) -> None:
        self._network, self._layers, self._alone = network, list(network.layers), alone
        tokens, embedding = network.embedding.weight.shape
        hidden = int(self._layers[-1].hidden_size)  # type: ignore[arg-type]
        self._matrix: Tensor | None = None
        with torch.no_grad():
            self._vectors = network._vectors(torch.arange(tokens, device=network.embedding.weight.device))
            small = tokens * hidden <= (tokens + hidden) * embedding  # one product costs less than two
            if network.rare is None and small and isinstance(network.narrow, nn.Linear):
                said = network.loudness * network.embedding.weight
                self._matrix = said @ network.narrow.weight
                self._bias = network.get_parameter("bias") + said @ network.narrow.bias
            self._first = lookup(self._layers[0], self._vectors) if alone else None

    def __reduce__(self) -> Any:
        return Voice, (self._network, self._alone)  # what is prepared are addresses of this process

    def step(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One token of each sequence, ids (B) → features (B, H) and the state to go on from."""
        with torch.no_grad():
            x, first = self._entered(ids, None if state is None else state[0])
            states = [first]
            for k, layer in enumerate(self._layers[1:], 1):
                x, new = layer.step(x, None if state is None else state[k])  # type: ignore[operator]
                states.append(new)
        return x, tuple(states)

    def _entered(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Through the first layer."""
        if self._first is not None and len(ids) == 1:
            found = self._first.look(int(ids), state)
            if found is not None:
                return found
        x, new = self._layers[0].step(self._vectors.index_select(0, ids), state)  # type: ignore[operator]
        return x, new

    def logits(self, features: Tensor) -> Tensor:
        """Features (B, H) → logarithms of the probabilities of all tokens (B, V), up to a constant."""
        with torch.no_grad():
            if self._matrix is None:
                return self._network.log_probs(features)
            return F.linear(features, self._matrix, self._bias)


def rows_of(state: State | None, rows: Tensor) -> Any:
    """The state of these rows, in that order."""

    def chosen(layer: Any) -> Any:
        if isinstance(layer, tuple):
            return tuple(chosen(part) for part in layer)
        return layer.index_select(1, rows)

    return None if state is None else tuple(chosen(layer) for layer in state)
