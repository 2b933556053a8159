"""The loss and validation of a text classifier's network."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import length_batches, pad
from elman.tasks.classify.examples import Encoded, Ids
from elman.tasks.classify.scores import label_scores
from elman.training.plan import Plan
from elman.training.problem import device_of, share

MAX_BATCH_TOKENS: Final = 32 * 1024  # scored at once, padding included


@dataclass
class LabelProblem:
    """Cross entropy on encoded texts; the model with the best macro-F1 on the held-out texts wins."""

    train: Encoded
    held_out: Encoded
    weights: Tensor  # (K,) what a row of each class counts
    plan: Plan
    crop: int | None = None  # tokens of a text that one step reads, from a random place in it; None: all
    score: str = "macro_f1"
    maximize: bool = True

    def batches(self, epoch: int, rank: int, world: int) -> list[list[int]]:
        crop = self.crop or sys.maxsize
        lengths = [min(len(ids), crop) for ids in self.train.texts]
        batches = length_batches(lengths, self.plan.batch_size, seed=self.plan.seed, epoch=epoch)
        return share([batch for batch in batches if len(batch) >= world], rank, world)

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, None]:
        """Return the weighted sum over the texts, and the sum of their weights."""
        device = device_of(model)
        ids, lengths = pad([self._cropped(self.train.texts[i]) for i in batch])
        labels, weights = self.train.labels[batch].to(device), self.weights.to(device)
        logits = model(ids.to(device), lengths.to(device)).float()
        return F.cross_entropy(logits, labels, weights, reduction="sum"), float(weights[labels].sum()), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        return label_scores(class_probabilities(model, self.held_out.texts), self.held_out.labels)

    def _cropped(self, ids: Ids) -> Ids:
        if self.crop is None or len(ids) <= self.crop:
            return ids
        start = int(torch.randint(len(ids) - self.crop + 1, ()))
        return ids[start : start + self.crop]


def class_weights(labels: Tensor, classes: int, balanced: bool) -> Tensor:
    """Return the weights of the classes, (K,): 1; balanced, N / (K · rows of the class), 1 on average."""
    if not balanced:
        return torch.ones(classes)
    return len(labels) / (classes * torch.bincount(labels, minlength=classes))


def class_probabilities(model: nn.Module, texts: Sequence[Ids]) -> Tensor:
    """Return the probabilities (N, K) of encoded texts, on the CPU. The model is in eval mode."""
    return _class_logits(model, texts).softmax(1)


def class_log_probabilities(model: nn.Module, texts: Sequence[Ids]) -> Tensor:
    """Return the log-probabilities (N, K) of encoded texts, on the CPU. The model is in eval mode."""
    return _class_logits(model, texts).log_softmax(1)


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
