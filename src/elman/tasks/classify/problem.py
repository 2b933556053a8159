"""The loss and validation of a text classifier."""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import length_batches, pad
from elman.errors import UsageError
from elman.tasks.classify.examples import Encoded, Fold, Ids, held_out_rows
from elman.tasks.classify.network import Ensemble
from elman.tasks.classify.scores import scores_of
from elman.training.plan import Plan
from elman.training.problem import device_of, share

MAX_BATCH_TOKENS: Final = 32 * 1024  # scored at once, padding included
SEEDS_APART: Final = 1_000_003  # between the orders of two networks' batches


@dataclass
class LabelProblem:
    """Cross entropy on encoded texts, of one network for each fold; the weights with the best score on the
    held-out texts win. Where a text has several labels, each is a question of its own."""

    examples: Encoded
    folds: Sequence[Fold]
    weights: Tensor  # of each answer: what a text of it counts
    plan: Plan
    crop: int | None = None  # tokens of a text that one step reads, from a random place in it; None: all
    score: str = "accuracy"
    parts: Tensor | None = None  # (N,) of the examples; see `Evidence`
    maximize: bool = True

    def batches(self, epoch: int, rank: int, world: int) -> list[list[tuple[int, int]]]:
        """Return batches of (number of the network, row), in the order of the networks. Each takes a step on
        its own rows at every step of the run; where one has a batch more than another, it is left out."""
        each = [self._batches_of(k, epoch, world) for k in range(len(self.folds))]
        return share([list(chain(*together)) for together in zip(*each, strict=False)], rank, world)

    def _batches_of(self, k: int, epoch: int, world: int) -> list[list[tuple[int, int]]]:
        crop, rows, plan = self.crop or sys.maxsize, self.folds[k].train, self.plan
        lengths = [min(len(self.examples.texts[i]), crop) for i in rows]
        seed = plan.seed + k * SEEDS_APART
        batches = length_batches(lengths, plan.batch_size, seed=seed, epoch=epoch)
        return [[(k, rows[i]) for i in batch] for batch in batches if len(batch) >= world]

    def loss(self, model: nn.Module, batch: list[tuple[int, int]], state: Any) -> tuple[Tensor, float, None]:
        """Return the weighted sum over the texts' labels, and the sum of their weights."""
        device = device_of(model)
        rows = [row for _, row in batch]
        counts = Counter(k for k, _ in batch)
        ids, lengths = pad([self._cropped(self.examples.texts[i]) for i in rows])
        labels, weights = self.examples.labels[rows].to(device), self.weights.to(device)
        sizes = [counts[k] for k in range(len(self.folds))]
        more: dict[str, Any] = {} if len(sizes) == 1 else {"sizes": sizes}
        if self.parts is not None:
            more["parts"] = self.parts[rows].to(device)
        logits = model(ids.to(device), lengths.to(device), **more).float()
        loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), weights, reduction="sum")
        return loss, float(weights[labels].sum()), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        rows = held_out_rows(self.folds)
        logs = held_out_log_probabilities(model, self.examples.texts, self.folds, rows)
        return scores_of(logs.exp(), self.examples.labels[rows])

    def _cropped(self, ids: Ids) -> Ids:
        if self.crop is None or len(ids) <= self.crop:
            return ids
        start = int(torch.randint(len(ids) - self.crop + 1, ()))
        return ids[start : start + self.crop]


def class_weights(labels: Tensor, classes: int, balanced: bool) -> Tensor:
    """Return what a text of each class counts, (K,): 1; balanced, N / (K · rows of the class), 1 on average.
    Of several labels, what no and yes count, (2,). Raises UsageError for several that are balanced."""
    if not balanced:
        return torch.ones(classes if labels.dim() == 1 else 2)
    if labels.dim() > 1:
        raise UsageError("class_weights is for one label a text: leave it out where texts have several")
    return len(labels) / (classes * torch.bincount(labels, minlength=classes))


def held_out_log_probabilities(
    model: nn.Module, texts: Sequence[Ids], folds: Sequence[Fold], rows: Sequence[int]
) -> Tensor:
    """Return the log-probabilities (N, K) of N held-out rows; (N, K, 2) of several labels. They are
    those of the network that has not learned from the row, or the mean over several. The model is an ensemble
    with a network for each fold, or one network."""
    network = getattr(model, "module", model)  # without Fabric's wrapper
    members = network.members if isinstance(network, Ensemble) else [network]
    each: dict[int, list[Tensor]] = {row: [] for row in rows}
    for member, fold in zip(members, folds, strict=True):
        held_out = [row for row in fold.held_out if row in each]
        if held_out:
            logs = class_log_probabilities(member, [texts[row] for row in held_out])
            for row, own in zip(held_out, logs, strict=True):
                each[row].append(own)
    return torch.stack([torch.stack(own).logsumexp(0) - math.log(len(own)) for own in each.values()])


def class_probabilities(model: nn.Module, texts: Sequence[Ids]) -> Tensor:
    """Return the probabilities (N, K) of encoded texts, on the CPU; (N, K, 2) of several labels. The model is
    in eval mode."""
    return _class_logits(model, texts).softmax(-1)


def class_log_probabilities(model: nn.Module, texts: Sequence[Ids]) -> Tensor:
    """Return the logarithms of `class_probabilities`."""
    return _class_logits(model, texts).log_softmax(-1)


def _class_logits(model: nn.Module, texts: Sequence[Ids]) -> Tensor:
    device = device_of(model)
    logits: dict[int, Tensor] = {}
    with torch.no_grad():
        for rows in _by_length(texts):
            ids, lengths = pad([texts[i] for i in rows])
            batch = model(ids.to(device), lengths.to(device)).float().cpu()
            logits |= dict(zip(rows, batch, strict=True))
    return torch.stack([logits[i] for i in range(len(texts))])


def _by_length(texts: Sequence[Ids]) -> Iterator[list[int]]:
    """Yield rows in batches of similar length, each of at most MAX_BATCH_TOKENS, or of one text."""
    batch: list[int] = []
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if batch and len(texts[i]) * (len(batch) + 1) > MAX_BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    yield batch
