"""The network that reads a text word by word and keeps what a verdict needs."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from elman.cells import Cell
from elman.data.text.tokenizers import PADDING
from elman.nn import Recurrent

# Steps that are read at once where no gradient is needed: memory stays constant however long the text.
PIECE: Final = 512


class Memory(NamedTuple):
    """What is kept of the steps read so far; its size does not depend on their number."""

    state: Any  # the layers' own, as elman.nn returns it
    steps: Tensor  # (B, 1) how many
    total: Tensor  # (B, F) sum of the outputs
    peak: Tensor  # (B, F) largest value of each output
    last: Tensor  # (B, F) output at the last step


# How the outputs of all steps become one vector.
POOLS: Final[dict[str, Callable[[Memory], Tensor]]] = {
    "mean": lambda m: m.total / m.steps,
    "max": lambda m: m.peak,
    "last": lambda m: m.last,
}


class Reader(nn.Module):
    """Embedding → recurrent layers → pools over the outputs of all steps → one logit a class.

    Args:
        cell: the recurrence.
        words: ids of the vocabulary, from 0 (padding).
        classes: labels to tell apart.
        pools: names from `POOLS`.
        dropout: share of the pooled values, and between layers, that is dropped while training.
        embedding_dropout: share of the values of the words' vectors that is dropped while training.
    """

    def __init__(
        self,
        cell: Cell,
        words: int,
        classes: int,
        *,
        embedding: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        pools: Sequence[str],
        dropout: float,
        embedding_dropout: float,
    ) -> None:
        super().__init__()
        self.pools = tuple(pools)
        self.embedding = nn.Embedding(words, embedding, padding_idx=PADDING)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        between = dropout if layers > 1 else 0.0
        self.layers = Recurrent(cell, embedding, hidden, layers, dropout=between, bidirectional=bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden * self.layers.directions * len(pools), classes)

    def start_from(self, evidence: Tensor) -> None:
        """Let the first values of every word's vector be what the word says about each class: (words, K).

        With more classes than values, the later classes get none.
        """
        width = min(evidence.shape[1], self.embedding.embedding_dim)
        with torch.no_grad():
            self.embedding.weight[:, :width] = evidence[:, :width]
            self.embedding.weight[PADDING] = 0

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Padded texts, ids (T, B) and lengths (B,) of at least 1 → logits (B, K)."""
        memory = None
        piece = len(ids) if self.training or self.layers.bidirectional else PIECE
        for start in range(0, len(ids), piece):
            memory = self._read(ids[start : start + piece], (lengths - start).clamp(0, piece), memory)
        assert memory is not None
        return self._judge(memory)

    def run(self, ids: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """Ids (T,) of one text's next steps → logits (T, K) after each of them, and what to go on from."""
        outputs, state = self.layers(
            self.embedding(ids).unsqueeze(1), None if memory is None else memory.state
        )
        outputs = outputs.squeeze(1)
        count = torch.arange(1, len(ids) + 1, device=ids.device).unsqueeze(1)
        total, peak = outputs.cumsum(0), outputs.cummax(0).values
        if memory is not None:
            count, total = count + memory.steps, total + memory.total
            peak = torch.maximum(peak, memory.peak)
        every = Memory(state, count, total, peak, outputs)
        return self._judge(every), Memory(state, count[-1:], total[-1:], peak[-1:], outputs[-1:])

    def _read(self, ids: Tensor, lengths: Tensor, memory: Memory | None) -> Memory:
        x = self.embedding_dropout(self.embedding(ids))
        if self.layers.bidirectional:
            outputs, state = self.layers(x, lengths=lengths)
        else:  # dense, which is faster: what stands beyond a text's end reaches no pool
            outputs, state = self.layers(x, None if memory is None else memory.state)
        outside = (torch.arange(len(ids), device=ids.device).unsqueeze(1) >= lengths).unsqueeze(2)
        total = outputs.masked_fill(outside, 0).sum(0)
        peak = outputs.masked_fill(outside, -torch.inf).amax(0)
        last = self._last(outputs, lengths)
        count = lengths.unsqueeze(1)
        if memory is None:
            return Memory(state, count, total, peak, last)
        return Memory(
            state,
            count + memory.steps,
            total + memory.total,
            torch.maximum(peak, memory.peak),
            torch.where(count > 0, last, memory.last),
        )

    def _last(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, F) → (B, F): at each text's last step; of a layer that reads back to front, at its first."""
        rows = torch.arange(len(lengths), device=outputs.device)
        last = outputs[(lengths - 1).clamp(min=0), rows]
        if not self.layers.bidirectional:
            return last
        half = self.layers.output_size
        return torch.cat([last[:, :half], outputs[0, :, half:]], 1)

    def _judge(self, memory: Memory) -> Tensor:
        pooled = torch.cat([POOLS[name](memory) for name in self.pools], 1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


def evidence(texts: Sequence[Sequence[int]], labels: Tensor, words: int, classes: int) -> Tensor:
    """What each word says about each class, (words, K): log of its share of the class's texts over the mean.

    Naive Bayes' log-count ratio, smoothed by one text: Wang, Manning, ACL 2012.
    """
    counts = torch.ones(words, classes)
    for ids, label in zip(texts, labels.tolist(), strict=True):
        counts[list(set(ids)), label] += 1
    logs = (counts / counts.sum(0)).log()
    return logs - logs.mean(1, keepdim=True)
