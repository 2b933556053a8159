"""The networks of a classifier prepared for texts that arrive: one, or many together with the same bits.

T steps, N texts, I inputs, F outputs, K answers.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.data.text.tokenizers import PADDING
from elman.nn.rows import Array, RowProduct, RowSteps, States, groups, joined
from elman.tasks.classify.labels import as_answers
from elman.tasks.classify.network import POOLING, ClassifierNet, Ensemble, PooledState, mean_logits
from elman.tasks.pool import marked
from elman.tasks.stream_state import Saved, mark_of


class Past(NamedTuple):
    """Recurrent state and pools after the steps of one text so far, of constant size."""

    state: States
    steps: float  # how many
    total: Array  # (F,) sum of the outputs
    peak: Array  # (F,) largest value of each output
    words: Array  # the last ids, with which phrases may begin


Pasts = tuple[Past, ...]  # of each network


class Words(NamedTuple):
    """A request: the next ids (T,) of a text."""

    ids: Array
    past: Pasts | None = None


class Judged(NamedTuple):
    """The answer: logits (T, K), or (T, K, 2) of no and yes, after each word."""

    logits: Tensor
    past: Pasts


def past_tensors(pasts: Pasts) -> dict[str, Tensor]:
    """Return what is known of the past by name."""
    tensors: dict[str, Tensor] = {}
    for m, past in enumerate(pasts):
        arrays = {f"state.{k}": part for k, part in enumerate(past.state)}
        arrays |= {"total": past.total, "peak": past.peak, "words": past.words}
        tensors |= {f"{m}.{name}": torch.from_numpy(one) for name, one in arrays.items()}
        tensors[f"{m}.steps"] = torch.tensor(past.steps, dtype=torch.float64)
    return tensors


class EnsembleSteps:
    """Networks in eval mode that read in one direction, with the weights that they have now.

    Attributes:
        network: the same networks.
    """

    def __init__(self, network: Ensemble) -> None:
        self.network = network
        self._members = [_Member(member) for member in network.members]

    @cached_property
    def mark(self) -> str:
        """What tells these networks from others."""
        return mark_of(self.network)

    def pasts(self, read: Saved) -> Pasts:
        """Return what `past_tensors` made tensors of. Raises ValueError or LookupError for other tensors."""
        return tuple(member.past(read, f"{m}.") for m, member in enumerate(self._members))

    def answer(self, requests: Sequence[Words]) -> list[Any]:
        """Return a Judged for every request, as if it were alone; a NotFinite where a state became NaN."""
        answers: list[Any] = [None] * len(requests)
        for group in groups([(len(request.ids), 1) for request in requests]):
            for k, answer in zip(group, self._answer([requests[k] for k in group]), strict=True):
                answers[k] = answer
        return answers

    def _answer(self, requests: list[Words]) -> list[Any]:
        logits, pasts = list[Tensor](), list[list[Past]]()
        for m, member in enumerate(self._members):
            texts = [(one.ids, None if one.past is None else one.past[m]) for one in requests]
            own, after = member.read(texts)
            logits.append(own)
            pasts.append(after)
        parts = mean_logits(logits).split_with_sizes([len(one.ids) for one in requests])
        answers = [Judged(*pair) for pair in zip(parts, zip(*pasts, strict=True), strict=True)]
        totals = np.stack([np.stack([past.total for past in after]) for after in pasts])
        return marked(answers, totals, [slice(k, k + 1) for k in range(len(requests))])


class _Member:
    """One network."""

    def __init__(self, network: ClassifierNet) -> None:
        self._network, self._layers = network, RowSteps(network.layers)
        self._head = RowProduct(network.head.weight, network.head.bias)
        self._nothing = Past(
            self._layers.zeros(),
            0.0,
            np.zeros(network.layers.output_size, np.float32),
            np.full(network.layers.output_size, -np.inf, np.float32),
            np.zeros(0, np.int64),
        )

    def past(self, read: Saved, prefix: str) -> Past:
        """Return what is known of a past, from tensors whose names begin so."""
        nothing = self._nothing

        def like(name: str, array: Array, finite: bool = True) -> Array:
            value: Array = read.tensor(prefix + name, torch.float32, *array.shape, finite=finite).numpy()
            return value

        words = read.tensor(f"{prefix}words", torch.int64, read.length(f"{prefix}words", self._network.reach))
        if len(words) and not 0 <= int(words.min()) <= int(words.max()) < len(self._network.embedding.weight):
            raise ValueError("a word is not of the vocabulary")
        steps = float(read.tensor(f"{prefix}steps", torch.float64))
        peak = like("peak", nothing.peak, finite=False)
        if not steps >= 0 or np.isnan(peak).any() or np.isposinf(peak).any():
            raise ValueError("the pools are out of range")
        state = tuple(like(f"state.{k}", part) for k, part in enumerate(nothing.state))
        return Past(state, steps, like("total", nothing.total), peak, words.numpy())

    def read(self, texts: Sequence[tuple[Array, Past | None]]) -> tuple[Tensor, list[Past]]:
        """Read the next ids of texts, the longest first; return the logits after each, of all texts one after
        another, and what each text has become."""
        ids, pasts = [one for one, _ in texts], [past or self._nothing for _, past in texts]
        words = [np.concatenate([past.words, one]) for one, past in zip(ids, pasts, strict=True)]
        lengths = [len(one) for one in ids]
        x = self._inputs(words)
        ends = accumulate(len(one) + 1 for one in words)  # of each text and the padding after it
        rows = [x[end - 1 - n : end - 1, None] for end, n in zip(ends, lengths, strict=True)]
        ragged = lengths if lengths[0] > lengths[-1] else None
        outputs, states = self._layers.run(joined(rows), [past.state for past in pasts], ragged)
        totals = np.cumsum(outputs, 0) + np.stack([past.total for past in pasts])
        peaks = np.maximum.accumulate(outputs, 0)
        peaks = np.maximum(peaks, np.stack([past.peak for past in pasts]))
        steps = np.arange(1, len(outputs) + 1, dtype=np.float32)[:, None]
        counts = steps + np.array([past.steps for past in pasts], np.float32)
        every: list[Any] = [None, counts[..., None], totals, peaks, outputs]
        parts: list[Any] = [POOLING[name](PooledState(*every)) for name in self._network.pools]
        pooled = np.concatenate(parts, 2).swapaxes(0, 1)  # a text's rows one after another
        logits = self._head(pooled[(steps <= np.array(lengths)).T])
        after = [
            Past(state, float(counts[n - 1, k]), totals[n - 1, k].copy(), peaks[n - 1, k].copy(), kept)
            for k, (state, n, kept) in enumerate(zip(states, lengths, map(self._kept, words), strict=True))
        ]
        return as_answers(torch.from_numpy(logits), self._network.several), after

    def _inputs(self, words: Sequence[Array]) -> Array:
        """Return what the layers read (S, I), given the ids of texts: all, with padding after each."""
        column = np.concatenate([part for one in words for part in (one, [PADDING])])
        with torch.no_grad():
            device = self._network.embedding.weight.device
            x: Array = self._network.inputs(torch.from_numpy(column)[:, None].to(device))[:, 0].cpu().numpy()
        return x

    def _kept(self, words: Array) -> Array:
        return words[max(len(words) - self._network.reach, 0) :].copy()  # not a view of a long text
