"""Recurrent networks that read a text word by word, with pooling over their outputs."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from elman.cells import as_cell
from elman.data.text.tokenizers import PADDING, UNKNOWN
from elman.nn import Recurrent
from elman.tasks.classify.evidence import Evidence, Tables
from elman.tasks.classify.labels import as_answers
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


POOLING: Final[dict[str, Callable[[PooledState], Tensor]]] = {
    "mean": lambda m: m.total / m.steps,
    "max": lambda m: m.peak,
    "last": lambda m: m.last,
}


class Slowed(nn.Module):
    """Vectors that learn at rates of their own: where they start, plus a rate times what is learned.

    Adam divides a step by the root of the mean squared gradient. Of a word that occurs in a share p of the
    batches that is √p of the gradient where it occurs, so that a rare word's vector moves 1/√p times as far
    at each occurrence as a common one's, and remembers its few texts. The rate √p makes them equal.
    """

    start: Tensor
    rates: Tensor

    def __init__(self, start: Tensor, shares: Tensor) -> None:
        super().__init__()
        self.register_buffer("start", start.detach().clone(), persistent=False)
        self.register_buffer("rates", shares.sqrt().unsqueeze(1), persistent=False)

    def forward(self, learned: Tensor) -> Tensor:
        return self.start + self.rates * learned

    def right_inverse(self, vectors: Tensor) -> Tensor:
        return torch.zeros_like(vectors)


class ClassifierNet(nn.Module):
    """Embedding, and evidence → recurrent layers → pools over the outputs of all steps → one logit a class.
    `words` is the number of token ids, from 0 (padding); `phrases` are those of `Evidence`. Where a text may
    have `several` labels, the logits (..., K, 2) are those of no and yes."""

    def __init__(
        self,
        settings: Settings,
        words: int,
        classes: int,
        several: bool = False,
        phrases: Tensor | None = None,
    ) -> None:
        super().__init__()
        s = settings
        self.several = several
        self.pools = s.pools
        self.embedding = nn.Embedding(words, s.embedding, padding_idx=PADDING)
        with torch.no_grad():
            self.embedding.weight *= VECTOR_SPREAD
        self.embedding_dropout = nn.Dropout(s.embedding_dropout)
        self.word_dropout = s.word_dropout
        self.evidence, inputs = None, s.embedding
        if s.phrase:
            phrases = torch.zeros(0, dtype=torch.int64) if phrases is None else phrases
            self.evidence = Evidence(phrases, words, classes, s.phrase)
            inputs += self.evidence.size
        between = s.dropout if s.layers > 1 else 0.0
        self.layers = Recurrent(
            as_cell(s.cell), inputs, s.hidden, s.layers, dropout=between, bidirectional=s.bidirectional
        )
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Linear(s.hidden * self.layers.directions * len(s.pools), classes)

    def begin_training(self, occurring: Tensor, batch_size: int, tables: Tables | None) -> None:
        """Take what the training texts tell: in which share of them each word occurs, (words,), and the
        evidence of their phrases, if it is read."""
        shares = 1 - (1 - occurring) ** batch_size
        if self.word_dropout:
            shares[UNKNOWN] = 1.0  # which stands for dropped words in almost every batch
        parametrize.register_parametrization(self.embedding, "weight", Slowed(self.embedding.weight, shares))
        if self.evidence is not None and tables is not None:
            self.evidence.learn(tables)

    def end_training(self) -> None:
        """Keep what is learned, and drop what only training needs."""
        parametrize.remove_parametrizations(self.embedding, "weight")
        if self.evidence is not None:
            self.evidence.end_training()

    @property
    def reach(self) -> int:
        """How many words before a step its input depends on."""
        return 0 if self.evidence is None else self.evidence.longest - 1

    def forward(self, ids: Tensor, lengths: Tensor, parts: Tensor | None = None) -> Tensor:
        """Return logits (B, K) of padded texts, ids (T, B) with lengths (B,) of at least 1. `parts` (B,) are
        those of training texts; see `Evidence`."""
        past = None
        chunk = len(ids) if self.training or self.layers.bidirectional else CHUNK_STEPS
        for start in range(0, len(ids), chunk):
            begin = max(start - self.reach, 0)
            x = self.inputs(ids[begin : start + chunk], parts)[start - begin :]
            past = self._read(x, (lengths - start).clamp(0, chunk), past)
        assert past is not None
        return self._logits(past)

    def inputs(self, ids: Tensor, parts: Tensor | None = None) -> Tensor:
        """Return what the layers read (T, B, I), given ids (T, B)."""
        words = ids
        if self.training and self.word_dropout:
            words = ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.word_dropout, UNKNOWN)
        x: Tensor = self.embedding_dropout(self.embedding(words))
        if self.evidence is None:
            return x
        return torch.cat([x, self.evidence(self.evidence.numbers(ids), parts)], 2)

    def _read(self, x: Tensor, lengths: Tensor, past: PooledState | None) -> PooledState:
        if self.layers.bidirectional:
            outputs, state = self.layers(x, lengths=lengths)
        else:  # dense, which is faster: steps beyond a text's end reach no pool
            outputs, state = self.layers(x, None if past is None else past.state)
        outside = (torch.arange(len(x), device=x.device).unsqueeze(1) >= lengths).unsqueeze(2)
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
        return as_answers(self.head(self.dropout(pooled)), self.several)


class Ensemble(nn.Module):
    """Networks of the same settings that learned from different parts of the data; their probabilities are
    averaged (Lakshminarayanan, Pritzel, Blundell, arXiv:1612.01474). One network answers as it is."""

    def __init__(
        self,
        settings: Settings,
        words: int,
        classes: int,
        several: bool = False,
        phrases: Tensor | None = None,
    ) -> None:
        super().__init__()
        sizes = words, classes, several, phrases
        self.members: Any = nn.ModuleList(ClassifierNet(settings, *sizes) for _ in range(settings.networks))

    @property
    def phrases(self) -> Tensor | None:
        """The phrases that all networks read, or None."""
        evidence = self.members[0].evidence
        return None if evidence is None else evidence.phrases

    def forward(
        self,
        ids: Tensor,
        lengths: Tensor,
        sizes: Sequence[int] | None = None,
        parts: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, K) of padded texts, as `ClassifierNet`. With `sizes`, which add up to B, the
        first member alone reads the first sizes[0] texts, the second the next ones, and so on."""
        if sizes is None:
            return mean_logits([member(ids, lengths, parts) for member in self.members])
        columns, ends = ids.split_with_sizes(sizes, 1), lengths.split_with_sizes(sizes)
        each = [None] * len(sizes) if parts is None else parts.split_with_sizes(sizes)
        texts = zip(self.members, columns, ends, each, strict=True)
        return torch.cat([member(own[: int(end.max())], end, part) for member, own, end, part in texts])


def mean_logits(each: Sequence[Tensor]) -> Tensor:
    """Return logits (B, K) or (B, K, 2) of the mean of several networks' probabilities."""
    if len(each) == 1:
        return each[0]
    return torch.stack([logits.float().log_softmax(-1) for logits in each]).logsumexp(0)
