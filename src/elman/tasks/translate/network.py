"""A bidirectional encoder and a decoder with attention.

S steps of the source, T of the target, B pairs, E values of an embedding, H units. Attention is that of Luong
et al., arXiv:1508.04025 (general score). One RNN produces the attention query; a second consumes query and
context. With teacher forcing each is therefore one scan, and attention is one product over all steps. With
input feeding, as in that paper, the query RNN also reads the previous step's features; the decoder then runs
step by step.
"""

import math
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import as_cell
from elman.nn import Recurrent
from elman.nn.dropout import variational_dropout
from elman.nn.embedding import scaled_vectors
from elman.nn.states import select_rows
from elman.tasks.translate.settings import Settings

# Features lie within ±1 and embeddings start small, so that their products alone are too small to learn from.
LOGIT_SCALE: Final = 4.0


class EncoderOutput(NamedTuple):
    """What the decoder attends to. Rows are pairs; a beam has several rows of one pair."""

    keys: Tensor  # (B, H, S)
    values: Tensor  # (B, S, H)
    padding: Tensor  # (B, S) bool, True beyond a source's end


class DecoderState(NamedTuple):
    """What the decoder carries from step to step."""

    query_rnn: Any  # recurrent states, as elman.nn returns them
    output_rnn: Any
    features: Tensor  # (B, E) of the last step
    weights: Tensor  # (B, S) attention of the last step

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of these rows, in that order."""
        recurrent = select_rows((self.query_rnn, self.output_rnn), rows)
        return DecoderState(*recurrent, self.features[rows], self.weights[rows])


class DropoutMasks(NamedTuple):
    """The decoder's dropout masks, the same at all steps."""

    embedding: Tensor  # (1, B, E)
    query: Tensor  # (1, B, H)
    features: Tensor  # (1, B, E)


class EncoderDecoder(nn.Module):
    """Predicts the next token of a translation from the source and the tokens before it.

    Args:
        settings: `layers` is the number of bidirectional encoder layers, of `hidden` / 2 units a direction.
        sources, targets: number of token ids of either side, the same if they share their vocabulary; then
            they share their embeddings.
    """

    def __init__(self, settings: Settings, sources: int, targets: int) -> None:
        super().__init__()
        s, cell = settings, as_cell(settings.cell)
        self.input_feeding, self.dropout = s.input_feeding, s.dropout
        self.target = nn.Embedding(targets, s.embedding)
        self.source = self.target if s.shared_vocabulary else nn.Embedding(sources, s.embedding)
        for table in (self.target, self.source):
            nn.init.uniform_(table.weight, -0.1, 0.1)
        bias = cell.forget_bias
        self.encoder = nn.ModuleList(
            Recurrent(cell, inputs, s.hidden // 2, bidirectional=True, forget_bias=bias)
            for inputs in [s.embedding, *[s.hidden] * (s.layers - 1)]
        )
        self.query_rnn = Recurrent(
            cell, s.embedding * (2 if s.input_feeding else 1), s.hidden, forget_bias=bias
        )
        self.output_rnn = Recurrent(cell, 2 * s.hidden, s.hidden, forget_bias=bias)
        self.bridge = nn.Linear(s.hidden, 2 * len(cell.state) * s.hidden)
        self.key = nn.Linear(s.hidden, s.hidden, bias=False)
        self.combine = nn.Linear(2 * s.hidden, s.embedding)
        self.bias = nn.Parameter(torch.zeros(targets))

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return features (T, B, E) of every target token, from padded sources (S, B) of `lengths` (B,) and
        the token before each target token, (T, B)."""
        encoded, state = self.encode(source, lengths)
        x = scaled_vectors(self.target, target)
        masks = self._masks(x)
        if not self.input_feeding:
            return self._decode(x, state, encoded, masks)[0]
        steps = []
        for t in range(len(x)):
            features, state = self._decode(x[t : t + 1], state, encoded, masks)
            steps.append(features)
        return torch.cat(steps)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[EncoderOutput, DecoderState]:
        """Return what the decoder attends to, and its first state."""
        x = variational_dropout(scaled_vectors(self.source, source), self.dropout, self.training)
        final: Any = None
        for layer in self.encoder:
            x, final = layer(x, lengths=lengths)
            x = variational_dropout(x, self.dropout, self.training)
        last = final[0] if isinstance(final, tuple) else final  # (2, B, H / 2)
        entries = self.bridge.out_features // self.query_rnn.hidden_size
        starts = self.bridge(torch.cat(list(last), 1)).tanh().chunk(entries, 1)
        values = x.transpose(0, 1)
        padding = torch.arange(len(source), device=source.device) >= lengths[:, None]
        state = DecoderState(
            _layer_state(starts[: entries // 2]),
            _layer_state(starts[entries // 2 :]),
            x.new_zeros(x.shape[1], self.target.embedding_dim),
            x.new_zeros(padding.shape),
        )
        return EncoderOutput(self.key(values).transpose(1, 2), values, padding), state

    def step(
        self, tokens: Tensor, state: DecoderState, encoded: EncoderOutput
    ) -> tuple[Tensor, DecoderState]:
        """Read one token of each row (B,); return features (B, E) and the next state, without gradients."""
        with torch.no_grad():
            x = scaled_vectors(self.target, tokens[None])
            features, state = self._decode(x, state, encoded, None)
        return features[0], state

    def logits(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of features (..., E). Input and output embeddings are tied (Press, Wolf,
        arXiv:1608.05859)."""
        return F.linear(LOGIT_SCALE * features, self.target.weight, self.bias)

    def _decode(
        self, x: Tensor, state: DecoderState, encoded: EncoderOutput, masks: DropoutMasks | None
    ) -> tuple[Tensor, DecoderState]:
        """Return features (T, B, E) of embeddings (T, B, E), and the state after them."""
        if masks is not None:
            x = x * masks.embedding
        if self.input_feeding:
            x = torch.cat([x, state.features[None]], 2)
        query, query_state = self.query_rnn(x, state.query_rnn)
        if masks is not None:
            query = query * masks.query
        context, weights = attend(query, encoded)
        output, output_state = self.output_rnn(torch.cat([query, context], 2), state.output_rnn)
        features = self.combine(torch.cat([output, context], 2)).tanh()
        if masks is not None:
            features = features * masks.features
        return features, DecoderState(query_state, output_state, features[-1], weights[:, -1])

    def _masks(self, x: Tensor) -> DropoutMasks | None:
        if not (self.training and self.dropout):
            return None
        widths = (x.shape[2], self.query_rnn.hidden_size, x.shape[2])
        return DropoutMasks(
            *(variational_dropout(x.new_ones(1, x.shape[1], n), self.dropout) for n in widths)
        )


def attend(query: Tensor, encoded: EncoderOutput) -> tuple[Tensor, Tensor]:
    """Return the context vectors (T, B, H) of queries (T, B, H), and the attention weights (B, T, S)."""
    scores = torch.bmm(query.transpose(0, 1), encoded.keys)
    weights = scores.masked_fill(encoded.padding[:, None], -math.inf).softmax(2)
    return torch.bmm(weights, encoded.values).transpose(0, 1), weights


def _layer_state(entries: tuple[Tensor, ...]) -> Any:
    """Return the state as a layer takes it: (1, B, H), or a tuple of these."""
    parts = tuple(entry[None].contiguous() for entry in entries)
    return parts if len(parts) > 1 else parts[0]
