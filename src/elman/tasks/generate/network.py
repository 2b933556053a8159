"""The network of a language model: embedding → recurrent layers → log-probabilities of the next token.

T steps, B sequences, V tokens, E values of an embedding vector, H hidden units. Regularised as in Merity et
al., "Regularizing and optimizing LSTM language models", arXiv:1708.02182.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import as_cell
from elman.nn import Recurrent
from elman.nn.dropout import variational_dropout
from elman.nn.embedding import scaled_vectors
from elman.tasks.generate.settings import MAX_FULL_VOCABULARY, Settings

State = tuple[Any, ...]  # one entry a layer


class LanguageNet(nn.Module):
    """Embedding → recurrent layers → projection to E values → log-probabilities of all tokens.

    The output layer shares the embedding's vectors (Press, Wolf, arXiv:1608.05859). A vocabulary larger than
    MAX_FULL_VOCABULARY gets an adaptive softmax instead, in which rare tokens form a cluster with smaller
    vectors (Grave et al., "Efficient softmax approximation for GPUs", arXiv:1609.04309).
    """

    def __init__(self, settings: Settings, tokens: int) -> None:
        super().__init__()
        s, cell = settings, as_cell(settings.cell)
        self.dropout, self.embedding_dropout = s.dropout, s.embedding_dropout
        self.logit_scale = s.logit_scale
        self.embedding = nn.Embedding(tokens, s.embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        weight_dropout = s.weight_dropout if cell.recurrent else 0.0
        sizes = [s.embedding, *[s.hidden] * s.layers]
        self.layers = nn.ModuleList(
            Recurrent(cell, size, s.hidden, weight_dropout=weight_dropout, forget_bias=cell.forget_bias)
            for size in sizes[:-1]
        )
        self.narrow = nn.Linear(s.hidden, s.embedding) if s.hidden != s.embedding else nn.Identity()
        self.rare: Any = None
        if tokens > MAX_FULL_VOCABULARY:
            cutoffs = [MAX_FULL_VOCABULARY // 5, MAX_FULL_VOCABULARY]
            self.rare = nn.AdaptiveLogSoftmaxWithLoss(s.embedding, tokens, cutoffs, div_value=2.0)
        else:
            self.bias = nn.Parameter(torch.zeros(tokens))

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """Read ids (T, B); return features (T, B, H) for `log_probs` and `loss`, the last layer's outputs
        before dropout, and the state after the last step."""
        x = variational_dropout(self._embed(ids), self.dropout, self.training)
        outputs, states = x, []
        for k, layer in enumerate(self.layers):
            outputs, new = layer(x, None if state is None else state[k])
            states.append(new)
            x = variational_dropout(outputs, self.dropout, self.training)
        return x, outputs, tuple(states)

    def log_probs(self, features: Tensor) -> Tensor:
        """Return the log-probabilities (..., V) of the next token after features (..., H)."""
        x = self.logit_scale * self.narrow(features)
        if self.rare is not None:
            flat: Tensor = self.rare.log_prob(x.flatten(0, -2))
            return flat.view(*x.shape[:-1], flat.shape[-1])
        return F.linear(x, self.embedding.weight, self.bias).log_softmax(-1)

    def loss(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy of targets (T, B) after features (T, B, H), summed."""
        features = features.to(self.embedding.weight.dtype)  # those of a training in half precision are wider
        x, targets = (self.logit_scale * self.narrow(features)).flatten(0, 1), targets.flatten()
        if self.rare is not None:
            log_probs: Tensor = self.rare(x, targets).output
            return -log_probs.sum()
        logits = F.linear(x, self.embedding.weight, self.bias)
        return F.cross_entropy(logits.float(), targets, reduction="sum")

    def vectors(self, ids: Tensor) -> Tensor:
        """Return the inputs (..., E) of the first layer."""
        return scaled_vectors(self.embedding, ids)

    def _embed(self, ids: Tensor) -> Tensor:
        """Return the inputs of ids (T, B). A dropped word is missing wherever it occurs: Gal, Ghahramani,
        arXiv:1512.05287."""
        x = self.vectors(ids)
        if not (self.training and self.embedding_dropout):
            return x
        mask = F.dropout(x.new_ones(self.embedding.num_embeddings), self.embedding_dropout)
        return x * mask[ids].unsqueeze(2)


class IncrementalDecoder:
    """Steps the network token by token, without gradients and with constant products precomputed.

    Args:
        network: in eval mode; its weights must not change.
    """

    def __init__(self, network: LanguageNet) -> None:
        self._network, self._layers = network, list(network.layers)
        tokens, embedding = network.embedding.weight.shape
        hidden = int(self._layers[-1].hidden_size)  # type: ignore[arg-type]
        self._matrix: Tensor | None = None
        with torch.no_grad():
            self._vectors = network.vectors(torch.arange(tokens, device=network.embedding.weight.device))
            smaller = tokens * hidden <= (tokens + hidden) * embedding  # one product costs less than two
            if network.rare is None and smaller and isinstance(network.narrow, nn.Linear):
                output = network.logit_scale * network.embedding.weight
                self._matrix = output @ network.narrow.weight
                self._bias = network.get_parameter("bias") + output @ network.narrow.bias

    def step(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read one token of each sequence, ids (B); return features (B, H) and the next state."""
        with torch.no_grad():
            x, states = self._vectors.index_select(0, ids), []
            for k, layer in enumerate(self._layers):
                x, new = layer.step(x, None if state is None else state[k])  # type: ignore[operator]
                states.append(new)
        return x, tuple(states)

    def logits(self, features: Tensor) -> Tensor:
        """Return log-probabilities (B, V), up to a constant, of the next token after features (B, H)."""
        with torch.no_grad():
            if self._matrix is None:
                return self._network.log_probs(features)
            return F.linear(features, self._matrix, self._bias)
