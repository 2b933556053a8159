"""Recurrent networks that read a text word by word, with pooling over their outputs."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from elman.cells import CELLS
from elman.data.text.tokenizers import PADDING, UNKNOWN
from elman.nn import Recurrent
from elman.tasks.classify.examples import Encoded
from elman.tasks.classify.settings import Settings

# Steps read at once without gradients: past stays constant however long the text is.
CHUNK_STEPS: Final = 512
# Of a word's first vector. With PyTorch's 1, the vector of a rare word stays the noise that it began as.
VECTOR_SPREAD: Final = 0.2


class PooledState(NamedTuple):
    """Recurrent state and pools after the steps read so far, of constant size."""

    state: Any  # the layers' own, as elman.nn returns it
    steps: Tensor  # (B, 1) how many
    total: Tensor  # (B, F) sum of the outputs
    peak: Tensor  # (B, F) largest value of each output
    last: Tensor  # (B, F) output at the last step


States: TypeAlias = tuple[PooledState, ...]  # of each network

POOLING: Final[dict[str, Callable[[PooledState], Tensor]]] = {
    "mean": lambda m: m.total / m.steps,
    "max": lambda m: m.peak,
    "last": lambda m: m.last,
}


class ClassifierNet(nn.Module):
    """Embedding → recurrent layers → pools over the outputs of all steps → one logit a class. `words` is the
    number of token ids, from 0 (padding)."""

    def __init__(self, settings: Settings, words: int, classes: int) -> None:
        super().__init__()
        s = settings
        self.pools = s.pools
        self.embedding = nn.Embedding(words, s.embedding, padding_idx=PADDING)
        with torch.no_grad():
            self.embedding.weight *= VECTOR_SPREAD
        self.embedding_dropout = nn.Dropout(s.embedding_dropout)
        self.word_dropout = s.word_dropout
        between = s.dropout if s.layers > 1 else 0.0
        self.layers = Recurrent(
            CELLS[s.cell], s.embedding, s.hidden, s.layers, dropout=between, bidirectional=s.bidirectional
        )
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Linear(s.hidden * self.layers.directions * len(s.pools), classes)

    def start_from(self, evidence: Tensor) -> None:
        """Initialise the first values of every word's vector with its evidence for each class, (words, K);
        with more classes than values, the last classes get none."""
        width = min(evidence.shape[1], self.embedding.embedding_dim)
        with torch.no_grad():
            self.embedding.weight[:, :width] = evidence[:, :width]
            self.embedding.weight[PADDING] = 0

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, K) of padded texts, ids (T, B) with lengths (B,) of at least 1."""
        past = None
        chunk = len(ids) if self.training or self.layers.bidirectional else CHUNK_STEPS
        for start in range(0, len(ids), chunk):
            past = self._read(ids[start : start + chunk], (lengths - start).clamp(0, chunk), past)
        assert past is not None
        return self._logits(past)

    def run(self, ids: Tensor, past: PooledState | None) -> tuple[Tensor, PooledState]:
        """Read the next ids (T,) of one text; return logits (T, K) after each, and the last state."""
        outputs, state = self.layers(self.embedding(ids).unsqueeze(1), None if past is None else past.state)
        outputs = outputs.squeeze(1)
        count = torch.arange(1, len(ids) + 1, device=ids.device).unsqueeze(1)
        total, peak = outputs.cumsum(0), outputs.cummax(0).values
        if past is not None:
            count, total = count + past.steps, total + past.total
            peak = torch.maximum(peak, past.peak)
        every = PooledState(state, count, total, peak, outputs)
        return self._logits(every), PooledState(state, count[-1:], total[-1:], peak[-1:], outputs[-1:])

    def _read(self, ids: Tensor, lengths: Tensor, past: PooledState | None) -> PooledState:
        if self.training and self.word_dropout:
            ids = ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.word_dropout, UNKNOWN)
        x = self.embedding_dropout(self.embedding(ids))
        if self.layers.bidirectional:
            outputs, state = self.layers(x, lengths=lengths)
        else:  # dense, which is faster: steps beyond a text's end reach no pool
            outputs, state = self.layers(x, None if past is None else past.state)
        outside = (torch.arange(len(ids), device=ids.device).unsqueeze(1) >= lengths).unsqueeze(2)
        total = outputs.masked_fill(outside, 0).sum(0)
        peak = outputs.masked_fill(outside, -torch.inf).amax(0)
        last = self._last(outputs, lengths)
        count = lengths.unsqueeze(1)
        if past is None:
            return PooledState(state, count, total, peak, last)
        return PooledState(
            state,
            count + past.steps,
            total + past.total,
            torch.maximum(peak, past.peak),
            torch.where(count > 0, last, past.last),
        )

    def _last(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the output (B, F) of each text's last step; in the backward direction, of its first."""
        rows = torch.arange(len(lengths), device=outputs.device)
        last = outputs[(lengths - 1).clamp(min=0), rows]
        if not self.layers.bidirectional:
            return last
        half = self.layers.output_size
        return torch.cat([last[:, :half], outputs[0, :, half:]], 1)

    def _logits(self, past: PooledState) -> Tensor:
        pooled = torch.cat([POOLING[name](past) for name in self.pools], 1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class Ensemble(nn.Module):
    """Networks of the same settings that learned from different parts of the data; their probabilities are
    averaged (Lakshminarayanan, Pritzel, Blundell, arXiv:1612.01474). One network answers as it is."""

    def __init__(self, settings: Settings, words: int, classes: int) -> None:
        super().__init__()
        members = [ClassifierNet(settings, words, classes) for _ in range(settings.networks)]
        self.members: Any = nn.ModuleList(members)

    def start_from(self, evidence: Sequence[Tensor]) -> None:
        """Initialise each network's vectors with the evidence of its own texts; see `ClassifierNet`."""
        for member, own in zip(self.members, evidence, strict=True):
            member.start_from(own)

    def each(self, begin: Callable[[ClassifierNet], None]) -> None:
        """Initialise every network in the same way."""
        for member in self.members:
            begin(member)

    def forward(self, ids: Tensor, lengths: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Return logits (B, K) of padded texts, as `ClassifierNet`. With `sizes`, which add up to B, the
        first member alone reads the first sizes[0] texts, the second the next ones, and so on."""
        if sizes is None:
            return mean_logits([member(ids, lengths) for member in self.members])
        columns, ends = ids.split_with_sizes(sizes, 1), lengths.split_with_sizes(sizes)
        parts = zip(self.members, columns, ends, strict=True)
        return torch.cat([member(part[: int(end.max())], end) for member, part, end in parts])

    def run(self, ids: Tensor, past: States | None) -> tuple[Tensor, States]:
        """Read the next ids (T,) of one text; return logits (T, K) after each, and the last states."""
        pasts = past or (None,) * len(self.members)
        runs = [member.run(ids, own) for member, own in zip(self.members, pasts, strict=True)]
        return mean_logits([logits for logits, _ in runs]), tuple(state for _, state in runs)


def mean_logits(each: Sequence[Tensor]) -> Tensor:
    """Return logits (B, K) of the mean of several networks' probabilities."""
    if len(each) == 1:
        return each[0]
    return torch.stack([logits.float().log_softmax(1) for logits in each]).logsumexp(0)


def evidence(examples: Encoded, words: int, classes: int) -> Tensor:
    """Return each word's evidence for each class, (words, K): the log of its share of the class's texts, less
    the mean over classes. Naive Bayes' log-count ratio, smoothed by one text: Wang, Manning, ACL 2012."""
    counts = torch.ones(words, classes)
    for ids, label in zip(examples.texts, examples.labels.tolist(), strict=True):
        counts[list(set(ids)), label] += 1
    logs = (counts / counts.sum(0)).log()
    return logs - logs.mean(1, keepdim=True)
